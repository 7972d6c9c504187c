//! Estimates the compilation cost of a component's functions from their code.
//!
//! The compiler's memory and time grow with the number of values that meet where control flow
//! joins: in the worst case, each local of a function at each of its blocks and branches. A few
//! kilobytes of code can have millions of them, so the product is bounded and not only its factors.

use wasmparser::{BinaryReaderError, BlockType, FunctionBody, Operator, TypeSectionReader};

use crate::error::ContractError;

/// The maximum nesting depth of blocks in one function. Compilation time is quadratic in it. Each
/// case of a switch is a block; interpreters reach a thousand.
const MAX_BLOCKS: usize = 10_000;

/// The maximum number of parameters and results of a function or a block together. A call or a
/// branch of two bytes creates that many values. Compilers emit up to two dozen.
const MAX_SIGNATURE: usize = 128;

/// The complexity of the functions of a component so far.
#[derive(Debug, Default)]
pub(crate) struct Complexity {
    /// The number of parameters and results of the widest signature.
    signature: u64,
    /// The code of the largest function, in bytes.
    pub(crate) largest_function_bytes: u64,
    /// The largest product of locals and joins of one function.
    pub(crate) largest_function_joins: u64,
    /// The sum of these products over all functions.
    pub(crate) joins: u64,
}

impl Complexity {
    /// Adds the types of a module.
    #[allow(clippy::result_large_err, reason = "the caller has two kinds of errors anyway")]
    pub(crate) fn types(
        &mut self,
        section: TypeSectionReader<'_>,
    ) -> Result<Result<(), ContractError>, BinaryReaderError> {
        let offset = section.range().start;
        for ty in section.into_iter_err_on_gc_types() {
            let ty = ty?;
            let values = ty.params().len() + ty.results().len();
            if values > MAX_SIGNATURE {
                let message = format!(
                    "a function type has {values} parameters and results; the limit is \
                     {MAX_SIGNATURE}"
                );
                return Ok(Err(ContractError::Malformed { message, offset }));
            }
            self.signature = self.signature.max(values as u64);
        }
        Ok(Ok(()))
    }

    /// Adds a function.
    #[allow(clippy::wildcard_enum_match_arm, reason = "few instructions are control flow")]
    pub(crate) fn function(
        &mut self,
        body: &FunctionBody<'_>,
    ) -> Result<Result<(), ContractError>, BinaryReaderError> {
        let mut depth = 0_usize;
        let (mut joins, mut accesses, mut locals) = (0_u64, 0_u64, 0_u64);
        let mut width = 0_u64;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            match operators.read()? {
                Operator::Block { blockty }
                | Operator::Loop { blockty }
                | Operator::If { blockty } => {
                    depth += 1;
                    joins += 1;
                    if let BlockType::FuncType(_) = blockty {
                        width = self.signature;
                    }
                }
                Operator::TryTable { .. } => {
                    depth += 1;
                    joins += 1;
                }
                Operator::End => depth = depth.saturating_sub(1),
                Operator::Else | Operator::Br { .. } | Operator::BrIf { .. } => joins += 1,
                Operator::BrTable { targets } => joins += u64::from(targets.len()) + 1,
                Operator::LocalGet { local_index }
                | Operator::LocalSet { local_index }
                | Operator::LocalTee { local_index } => {
                    accesses += 1;
                    locals = locals.max(u64::from(local_index) + 1);
                }
                _other => {}
            }
            if depth > MAX_BLOCKS {
                return Ok(Err(ContractError::Malformed {
                    message: format!("the blocks of a function nest deeper than {MAX_BLOCKS}"),
                    offset: body.range().start,
                }));
            }
        }
        // An unused local costs nothing.
        let values = locals.min(accesses).max(width);
        let joins = values.saturating_mul(joins);
        let bytes = body.range().len() as u64;
        self.largest_function_bytes = self.largest_function_bytes.max(bytes);
        self.largest_function_joins = self.largest_function_joins.max(joins);
        self.joins = self.joins.saturating_add(joins);
        Ok(Ok(()))
    }
}
