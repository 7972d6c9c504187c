//! The threads that compile the functions of a component.

use rayon::ThreadPoolBuilder;

/// Compiles on as many threads as there are processors, or on this one if the system cannot start
/// more. wasmtime's own pool would panic then.
pub(crate) fn compiling<T: Send>(compile: impl FnOnce() -> T + Send) -> T {
    let pool = ThreadPoolBuilder::new().build();
    let pool =
        pool.or_else(|_| ThreadPoolBuilder::new().num_threads(1).use_current_thread().build());
    match pool {
        Ok(pool) => pool.install(compile),
        Err(_) => compile(),
    }
}
