//! An HTTP proxy in front of a server, which fails as a test wants it to.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The treatment of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Passed,
    /// It arrives after this time.
    Delayed(Duration),
    /// The connection is cut before the server gets it.
    Cut,
    /// The connection is cut after this number of bytes of the request's body.
    CutBody(u64),
    /// The server acts, and the connection is cut after this number of bytes of its answer.
    CutAnswer(u64),
    /// The server does not get it, and this is the answer.
    Answered(&'static str),
}

type Choose = dyn FnMut(u64, &str) -> Fault + Send;

/// A running proxy. It ends with the process. Each request uses a new connection.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    requests: Arc<Mutex<u64>>,
}

impl FaultProxy {
    /// Starts a proxy to a port of loopback. `choose` gets the number of each request, from 1, and
    /// its head.
    ///
    /// # Errors
    /// Returns an error if there is no port left.
    pub fn start(
        port: u16,
        choose: impl FnMut(u64, &str) -> Fault + Send + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, requests) = (listener.local_addr()?, Arc::new(Mutex::new(0)));
        let count = Arc::clone(&requests);
        let choose: Arc<Mutex<Box<Choose>>> = Arc::new(Mutex::new(Box::new(choose)));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (count, choose) = (Arc::clone(&count), Arc::clone(&choose));
                // A client that closed its connection is no failure.
                thread::spawn(move || serve(&client, port, &count, &choose));
            }
        });
        Ok(Self { address, requests })
    }

    /// Returns the origin.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the number of requests so far.
    pub fn requests(&self) -> u64 {
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(
    client: &TcpStream,
    port: u16,
    count: &Mutex<u64>,
    choose: &Mutex<Box<Choose>>,
) -> io::Result<()> {
    let mut from = BufReader::new(client);
    let Some((head, length)) = read_head(&mut from)? else { return Ok(()) };
    let fault = {
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        choose.lock().unwrap_or_else(PoisonError::into_inner)(*count, &head)
    };
    let (sent, received) = match fault {
        Fault::Passed => (length, u64::MAX),
        Fault::Delayed(time) => {
            thread::sleep(time);
            (length, u64::MAX)
        }
        Fault::Cut => return client.shutdown(Shutdown::Both),
        Fault::CutBody(bytes) => (bytes.min(length), 0),
        Fault::CutAnswer(bytes) => (length, bytes),
        Fault::Answered(answer) => {
            io::copy(&mut from.take(length), &mut io::sink())?;
            let (mut client, length) =
                (client, answer.split("\r\n\r\n").nth(1).map_or(0, str::len));
            let (first, rest) = answer.split_once("\r\n").unwrap_or((answer, "\r\n"));
            let head = format!("{first}\r\nConnection: close\r\nContent-Length: {length}\r\n");
            client.write_all(head.as_bytes())?;
            client.write_all(rest.as_bytes())?;
            return client.shutdown(Shutdown::Both);
        }
    };
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    (&server).write_all(head.as_bytes())?;
    io::copy(&mut from.take(sent), &mut &server)?;
    if sent < length {
        server.shutdown(Shutdown::Both)?;
        return client.shutdown(Shutdown::Both);
    }
    io::copy(&mut (&server).take(received), &mut &*client)?;
    // A server that is still sending finishes its work first.
    io::copy(&mut &server, &mut io::sink())?;
    client.shutdown(Shutdown::Both)
}

/// Reads the head of a request, and asks the server to close the connection after its answer. Also
/// returns the length of the body.
fn read_head(from: &mut BufReader<&TcpStream>) -> io::Result<Option<(String, u64)>> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match &*name.to_ascii_lowercase() {
            "connection" => continue,
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
        if line.trim().is_empty() {
            head.push_str("Connection: close\r\n\r\n");
            return Ok(Some((head, length)));
        }
        head.push_str(&line);
    }
}
