//! The interface to `wasi:http`.

use std::pin::Pin;
use std::sync::Arc;

use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use super::client::HttpClient;
use super::header::is_forbidden;

/// Sends the requests of a session's plugin.
#[derive(Debug)]
pub(crate) struct HttpHooks(pub(crate) Arc<HttpClient>);

/// The end of the work on a request, after its response.
type Ends = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for HttpHooks {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    /// The client sets it from the URL that was checked.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _ends: Ends,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Ends), Error>> + Send> {
        let sent = Arc::clone(&self.0).send(request, options.unwrap_or_default());
        Box::new(async move {
            let response = Pin::from(sent).await?;
            Ok((response, Box::new(async { Ok(()) }) as Ends))
        })
    }
}
