//! The memory, tables and instances of a session.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::monitor::{Monitor, Terminated};
use super::{Limits, size};
use crate::error::TerminationReason;

/// Terminates a plugin that exceeds its memory limit.
pub(crate) struct Limiter {
    monitor: Arc<Monitor>,
    memory_bytes: usize,
    table_elements: usize,
    instances: usize,
    max_memory_bytes: usize,
    max_table_elements: usize,
    pub(crate) peak_memory_bytes: usize,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits, monitor: Arc<Monitor>) -> Self {
        Self {
            monitor,
            memory_bytes: 0,
            table_elements: 0,
            instances: size(limits.instances),
            max_memory_bytes: size(limits.memory_bytes),
            max_table_elements: size(limits.table_elements),
            peak_memory_bytes: 0,
        }
    }
}

/// Returns the total after one of several grows, or `None` if it exceeds the limit.
fn grown(total: usize, current: usize, desired: usize, limit: usize) -> Option<usize> {
    let grown = total.checked_add(desired.saturating_sub(current))?;
    (grown <= limit).then_some(grown)
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The maximum of a memory is not a limit of the host.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let Some(grown) = grown(self.memory_bytes, current, desired, self.max_memory_bytes) else {
            self.monitor.terminate(TerminationReason::Memory);
            return Err(Terminated.into());
        };
        // The memory stays counted if the system refuses it: wasmtime also reports failures of
        // requests that did not pass here, and the two cannot be distinguished.
        self.memory_bytes = grown;
        self.peak_memory_bytes = self.peak_memory_bytes.max(grown);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let Some(grown) = grown(self.table_elements, current, desired, self.max_table_elements)
        else {
            self.monitor.terminate(TerminationReason::Tables);
            return Err(Terminated.into());
        };
        self.table_elements = grown;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}
