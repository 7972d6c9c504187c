//! The interface to `wasi:http`.

use std::pin::Pin;
use std::sync::Arc;

use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use super::client::HttpClient;
use super::header::is_forbidden;
use super::observed::Observed;

/// Sends the requests of a session's plugin.
pub(crate) struct HttpHooks {
    pub(crate) client: Arc<HttpClient>,
    pub(crate) observed: Option<Arc<Observed>>,
}

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
        let (request, answer, answering) = match &self.observed {
            Some(observed) => {
                let (request, answer, answering) = observed.begin(request);
                (request, answer, Some(answering))
            }
            None => (request, None, None),
        };
        let client = Arc::clone(&self.client);
        let sent = client.send(request, options.unwrap_or_default(), answer);
        Box::new(async move {
            let answer = Pin::from(sent).await;
            let response = match answering {
                Some(answering) => answering.answered(answer),
                None => answer,
            }?;
            Ok((response, Box::new(async { Ok(()) }) as Ends))
        })
    }
}
