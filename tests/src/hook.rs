//! Does something on a server before it receives a request.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Is called with the method, the path and the target of each request.
type Action = Box<dyn FnMut(&str, &str, &str) + Send>;

/// A server that nginx asks before it passes on a request. It ends with the process.
pub struct Hook {
    port: u16,
    action: Arc<Mutex<Option<Action>>>,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hook({})", self.port)
    }
}

impl Hook {
    /// Starts the server.
    ///
    /// # Errors
    /// Returns an error if there is no port left.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (port, action) = (listener.local_addr()?.port(), Arc::default());
        let shared: Arc<Mutex<Option<Action>>> = Arc::clone(&action);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(&stream, &shared);
            }
        });
        Ok(Self { port, action })
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Calls this from now on; `None`: nothing.
    pub fn set(&self, action: Option<Action>) {
        *self.action.lock().unwrap_or_else(PoisonError::into_inner) = action;
    }
}

fn serve(mut stream: &TcpStream, action: &Mutex<Option<Action>>) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next().transpose()?
        && !line.is_empty()
    {
        let Some(request) = line.strip_prefix("X-Request: ") else { continue };
        let mut words = request.split(' ');
        let [method, path, target] = [(); 3].map(|()| words.next().unwrap_or_default());
        if let Some(action) = &mut *action.lock().unwrap_or_else(PoisonError::into_inner) {
            action(method, path, target);
        }
    }
    stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
}
