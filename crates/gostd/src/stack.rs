//! Work that recurses deeply, on a stack of its own.

/// Runs `work` on a thread with a stack of `bytes` and waits for it. `None` when no such thread can be had.
pub fn with<T: Send>(bytes: usize, work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(bytes)
            .spawn_scoped(scope, work);
        thread.ok()?.join().ok()
    })
}
