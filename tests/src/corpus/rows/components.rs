//! Files that are not plugins, or that exceed a load limit.

use std::time::Duration;

use crate::corpus::Row;
use crate::corpus::core::Core;
use crate::corpus::{bytes, requests};

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::made("is empty", bytes::nothing, "contract-empty"),
        Row::made("is text", bytes::plain_text, "contract-not-wasm"),
        Row::made("is noise behind a header", bytes::noise, "contract-malformed"),
        Row::made("is a core module", bytes::module, "contract-core-module"),
        Row::made("breaks off", bytes::half, "contract-truncated"),
        Row::made(
            "has a section that is longer than it",
            bytes::long_section,
            "contract-truncated",
        ),
        Row::made("exports nothing", bytes::no_exports, "contract-other-world"),
        Row::made("exports an empty interface", bytes::empty_export, "contract-types"),
        Row::made("exports functions of another type", bytes::wrong_type, "contract-types"),
        Row::made("is of another version", bytes::other_version, "contract-other-version"),
        Row::made("imports what no host has", bytes::unknown_import, "contract-unknown-imports"),
        Row::made("imports a function of another type", bytes::wrong_import, "contract-types"),
        Row::made(
            "imports a function that there is not",
            bytes::missing_function,
            "contract-types",
        ),
        Row::made("imports a module for an interface", bytes::imported_module, "contract-types"),
        Row::made("doubles with each of thirty levels", bytes::doubling, "load-too-large"),
        Row::made(
            "doubles with each component that is handed over",
            bytes::handed_over,
            "contract-malformed",
        ),
        Row::made("nests components a thousand deep", bytes::deep, "contract-malformed"),
        Row::made("nests a type without end", bytes::deep_type, "contract-malformed"),
        Row::made(
            "has a type that doubles with each level",
            bytes::wide_type,
            "contract-malformed",
        ),
        Row::made("has one huge function", bytes::huge_function, "load-too-large"),
        Row::made(
            "has more functions than there may be",
            bytes::too_many_functions,
            "contract-malformed",
        ),
        Row::made("has more locals than there may be", bytes::many_locals, "contract-malformed"),
        Row::made("has blocks in blocks without end", bytes::deep_blocks, "contract-malformed"),
        Row::made("has more types than there may be", bytes::many_types, "contract-malformed")
            .load(|limits| limits.component_bytes = 16 << 20),
        Row::core(
            "uses references to things of the host, which this host does not have",
            Core::new().also("(table 1 externref)"),
        )
        .not_loaded("contract-malformed"),
        Row::made("calls by a supertype", bytes::supertype_call, "contract-malformed"),
        Row::made("asks for a supertype", bytes::supertype_test, "contract-malformed"),
        Row::made("calls by a typed reference", bytes::typed_reference, "contract-malformed"),
        Row::made("throws an exception", bytes::exception, "contract-malformed"),
        Row::made("has many locals in many loops", bytes::locals_in_loops, "load-too-large"),
        Row::made("has locals across blocks", bytes::locals_across_blocks, "load-too-large"),
        Row::made("branches with many locals", bytes::branches_with_locals, "load-too-large"),
        Row::made("has blocks with parameters", bytes::blocks_with_parameters, "load-too-large"),
        Row::made("has many such functions", bytes::many_joining_functions, "load-too-large"),
        Row::made("has a wide signature", bytes::wide_signature, "contract-malformed"),
        Row::made("has more data than there may be", bytes::many_segments, "contract-malformed"),
        Row::made("is too large a file", bytes::huge_data, "load-too-large"),
        Row::made(
            "requests what cannot be read",
            requests::malformed_requests,
            "contract-requests",
        ),
        Row::made("requests a command", requests::requests_with_a_command, "contract-requests"),
        Row::made("requests what is no text", requests::binary_requests, "contract-requests"),
        Row::made("requests twice", requests::doubled_requests, "contract-requests"),
        Row::made("requests without end", requests::huge_requests, "contract-requests"),
        Row::made(
            "requests in brackets without end",
            requests::nested_requests,
            "contract-requests",
        ),
        // Last, because the compiler continues for a while.
        Row::made("takes long to compile", bytes::many_functions, "load-compile-time")
            .load(|limits| limits.compile_time = Duration::from_millis(20)),
    ]
}
