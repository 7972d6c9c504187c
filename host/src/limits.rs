/// How much a session may use. Every field has its unit in the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of the whole plugin, in bytes. The default, 1 GiB, holds the state of a few
    /// million files.
    pub memory_bytes: usize,
    /// Elements of all tables together. The default, 100,000, is far beyond what compilers emit.
    pub table_elements: usize,
    /// Resource handles open at once, files and directories among them. The default is 10,000.
    pub handles: usize,
    /// The end of stderr that is kept for error reports, in bytes. The default is 16 KiB.
    pub stderr_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            table_elements: 100_000,
            handles: 10_000,
            stderr_bytes: 16 << 10,
        }
    }
}
