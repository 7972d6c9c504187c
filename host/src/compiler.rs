//! Compiles in a separate process: even a component within every limit can use any amount of memory
//! and time, and only the end of a process releases them.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use crate::engine;
use crate::error::LoadError;
use crate::limits::LoadLimits;

mod confinement;
pub(crate) mod threads;

use threads::compiling;

/// The maximum length of a compiler's error output that is read.
const MESSAGE_BYTES: u64 = 4096;

/// The first byte of a successful answer.
const COMPILED: u8 = b'+';
const FAILED: u8 = b'-';

/// A program that compiles components for a host, each in a separate process, within the limits
/// `compile-memory` and `compile-time`. Its `main` calls [`compile_for_host`]; it may be the same
/// program with other arguments.
///
/// It is trusted like the host: its output is run as native code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompilerProgram {
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// The first line of a compiler's input, as JSON. The component follows.
#[derive(Debug, Deserialize, Serialize)]
struct Order {
    stack_bytes: u64,
    signals_based_traps: bool,
    memory_bytes: u64,
    /// The time limit; `None` for no limit.
    milliseconds: Option<u64>,
}

/// The end of a compiler without an answer.
struct Ended {
    status: io::Result<std::process::ExitStatus>,
    message: String,
}

impl CompilerProgram {
    /// Creates a compiler from a program and its arguments.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: program.into(), arguments }
    }

    /// Compiles a component for engines with these options.
    pub(crate) fn compile(
        &self,
        name: &str,
        component: &[u8],
        limits: &LoadLimits,
        signals_based_traps: bool,
    ) -> Result<Vec<u8>, LoadError> {
        let failed = |source: wasmtime::Error| LoadError::Compile {
            name: name.to_owned(),
            source: source.into(),
        };
        let milliseconds = u64::try_from(limits.compile_time.as_millis()).ok();
        let order = Order {
            stack_bytes: limits.stack_bytes,
            signals_based_traps,
            memory_bytes: limits.compile_memory,
            milliseconds,
        };
        let mut child = self.start().map_err(|error| {
            let program = self.program.display();
            failed(wasmtime::Error::from(error).context(format!("cannot start {program}")))
        })?;
        let answer = exchange(&mut child, &order, component, limits.compile_time);
        // The host no longer waits for it.
        let _ = child.kill();
        let status = child.wait();
        let too_much =
            || LoadError::CompileMemory { name: name.to_owned(), limit: limits.compile_memory };
        match answer.map_err(|error| failed(error.into()))? {
            Answer::Late => {
                Err(LoadError::CompileTime { name: name.to_owned(), limit: limits.compile_time })
            }
            Answer::Told { mut bytes, message } => match bytes.first() {
                Some(&COMPILED) => {
                    bytes.remove(0);
                    Ok(bytes)
                }
                Some(&FAILED) => {
                    let text = String::from_utf8_lossy(&bytes[1..]).into_owned();
                    Err(failed(wasmtime::Error::msg(text)))
                }
                Some(_) | None => {
                    let ended = Ended { status, message };
                    Err(if ended.lacked_memory() { too_much() } else { failed(ended.error()) })
                }
            },
        }
    }

    fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        // The environment of the host may contain secrets, so it is not inherited.
        command
            .args(&self.arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            // Ctrl-C is for the host.
            command.current_dir("/").process_group(0);
        }
        #[cfg(windows)]
        if let Some(root) = std::env::var_os("SystemRoot") {
            // Windows needs it to find system libraries.
            command.env("SystemRoot", root);
        }
        command.spawn()
    }
}

enum Answer {
    /// No answer arrived in time.
    Late,
    Told {
        bytes: Vec<u8>,
        message: String,
    },
}

/// Sends the component and waits for the answer.
fn exchange(
    child: &mut Child,
    order: &Order,
    component: &[u8],
    time: Duration,
) -> io::Result<Answer> {
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let mut input = child.stdin.take().ok_or_else(gone)?;
    let output = child.stdout.take().ok_or_else(gone)?;
    let errors = child.stderr.take().ok_or_else(gone)?;
    let mut head = serde_json::to_vec(order)?;
    head.push(b'\n');
    let most = order.memory_bytes;
    thread::scope(|scope| {
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        let (done, wait) = mpsc::sync_channel(1);
        let ask = named("syncmgr-compile-in").spawn_scoped(scope, move || {
            // A compiler that exits before it has read everything prints the reason.
            let _ = input.write_all(&head).and_then(|()| input.write_all(component));
        });
        let listen = named("syncmgr-compile").spawn_scoped(scope, move || {
            let mut message = String::new();
            let mut bytes = Vec::new();
            let read = output.take(most).read_to_end(&mut bytes);
            // The preceding text fits into the pipe.
            let _ = errors.take(MESSAGE_BYTES).read_to_string(&mut message);
            let _ = done.send(read.map(|_| Answer::Told { bytes, message }));
        });
        let answer = match ask.and(listen) {
            Ok(_) => wait.recv_timeout(time),
            Err(error) => Ok(Err(error)),
        };
        match answer {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                // This closes the pipes, so that the threads end.
                let _ = child.kill();
                Ok(Answer::Late)
            }
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    })
}

impl Ended {
    /// Returns whether it ran out of memory, according to the messages of Rust and the system.
    fn lacked_memory(&self) -> bool {
        let signs = ["memory allocation of", "Cannot allocate memory", confinement::OUT_OF_MEMORY];
        signs.iter().any(|sign| self.message.contains(sign))
    }

    fn error(self) -> wasmtime::Error {
        let status = match self.status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let line = self.message.lines().find(|line| !line.is_empty()).unwrap_or_default();
        wasmtime::Error::msg(format!("the compiler exited without a result ({status}): {line}"))
    }
}

/// Compiles one component for a host that started this process as its [`CompilerProgram`], and
/// answers on standard output. The process first limits its resources permanently.
pub fn compile_for_host() -> ExitCode {
    let answer = match compile(&mut io::stdin().lock()) {
        Ok(compiled) => [&[COMPILED], compiled.as_slice()].concat(),
        Err(error) => [&[FAILED], format!("{error:#}").as_bytes()].concat(),
    };
    let mut output = io::stdout().lock();
    match output.write_all(&answer).and_then(|()| output.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn compile(input: &mut impl io::BufRead) -> wasmtime::Result<Vec<u8>> {
    let mut head = String::new();
    input.read_line(&mut head)?;
    let order: Order = serde_json::from_str(&head).map_err(io::Error::from)?;
    confinement::confine(order.memory_bytes, order.milliseconds.map(Duration::from_millis))?;
    let mut component = Vec::new();
    input.read_to_end(&mut component)?;
    let config = engine::config(order.stack_bytes, order.signals_based_traps);
    let engine = Engine::new(&config)?;
    compiling(|| engine.precompile_component(&component))
}
