//! The allocation of session memory.

use wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig};

use crate::limits::{LoadLimits, size};

/// The maximum number of linear memories of one plugin. A component has one, unless it was linked
/// from several.
const MEMORIES: u32 = 4;
const TABLES: u32 = 16;
const CORE_INSTANCES: u32 = 128;

/// The amount of memory that is reset by writing zeros, which is faster than returning it to the
/// system and requesting it again.
const KEPT_BYTES: usize = 128 << 10;

/// The allocation of session memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Allocation {
    /// Each session requests its memory from the system. The number of sessions is not bounded.
    OnDemand,
    /// The memory was reserved when the host started, for this number of concurrent sessions.
    Pooled {
        /// The maximum number of sessions.
        sessions: u32,
    },
    /// The reservation was requested, but the system refused it. Each session requests its memory.
    PoolRefused {
        /// The requested number of sessions.
        sessions: u32,
        /// The error of the system, or of wasmtime.
        reason: String,
    },
    /// The engine belongs to the embedder, whose configuration applies.
    Embedder,
}

/// Creates an engine with these settings, and with a pool for this number of sessions if the system
/// allows it.
pub(crate) fn engine(
    config: &mut Config,
    pooled: Option<u32>,
    limits: &LoadLimits,
) -> wasmtime::Result<(Engine, Allocation)> {
    let Some(sessions) = pooled else {
        return Ok((Engine::new(config)?, Allocation::OnDemand));
    };
    let mut with_pool = config.clone();
    with_pool.allocation_strategy(pool(sessions, limits));
    match Engine::new(&with_pool) {
        Ok(engine) => Ok((engine, Allocation::Pooled { sessions })),
        Err(refusal) => {
            let reason = refusal.root_cause().to_string();
            tracing::warn!(sessions, reason, "cannot reserve memory for concurrent sessions");
            Ok((Engine::new(config)?, Allocation::PoolRefused { sessions, reason }))
        }
    }
}

fn pool(sessions: u32, limits: &LoadLimits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(sessions)
        .total_core_instances(sessions.saturating_mul(CORE_INSTANCES))
        .total_memories(sessions)
        .total_tables(sessions.saturating_mul(2))
        .total_stacks(sessions)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        // The limits of each session bound its use.
        .max_memory_size(1 << 32)
        .table_elements(100_000)
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(KEPT_BYTES)
        .async_stack_keep_resident(size(limits.stack_bytes).min(KEPT_BYTES))
        .pagemap_scan(Enabled::Auto);
    pool
}
