//! The WebAssembly features that plugins may use, in one table for the engine and for validation.
//!
//! The defaults of wasmtime and wasmparser change between versions, and a feature without
//! compiled-in support can still pass validation. So every feature is in exactly one list.

use wasmparser::WasmFeatures;
use wasmtime::Config;

/// The features that plugins may use: those that compilers for WASI 0.2 emit, without those that
/// need a garbage collector, shared memory or component-model async.
pub(crate) const ON: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL);

/// The features that plugins may not use.
pub(crate) const OFF: WasmFeatures = WasmFeatures::GC
    // Function subtypes come with `GC`, typed references with this feature. wasmtime is built
    // without its collector and aborts the process on them.
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::CUSTOM_DESCRIPTORS)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::STACK_SWITCHING)
    .union(WasmFeatures::THREADS)
    .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
    // The contract uses 32-bit memories.
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::MEMORY_CONTROL)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::WIDE_ARITHMETIC)
    .union(WasmFeatures::COMPACT_IMPORTS)
    // The contract uses WASI 0.2: nothing needs component-model async, and every call is faster
    // without it.
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_THREADING)
    .union(WasmFeatures::CM_ERROR_CONTEXT)
    .union(WasmFeatures::CM_VALUES)
    .union(WasmFeatures::CM_NESTED_NAMES)
    .union(WasmFeatures::CM_FIXED_LENGTH_LISTS)
    .union(WasmFeatures::CM_GC)
    .union(WasmFeatures::CM_MAP)
    .union(WasmFeatures::CM64)
    .union(WasmFeatures::CM_IMPLEMENTS)
    .union(WasmFeatures::CM_CANON_NAMES);

/// Sets every feature of an engine, and the related options of wasmtime.
pub(crate) fn configure(config: &mut Config) {
    config
        .wasm_features(ON, true)
        .wasm_features(OFF, false)
        .concurrency_support(false)
        .shared_memory(false)
        .wasm_branch_hinting(false)
        .relaxed_simd_deterministic(false);
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;
    use wasmtime::Engine;

    use super::*;

    #[test]
    fn every_feature_is_on_or_off() {
        for (name, feature) in WasmFeatures::all().iter_names() {
            let (on, off) = (ON.contains(feature), OFF.contains(feature));
            assert!(on != off, "{name} must be in exactly one list: on {on}, off {off}");
        }
        assert_eq!(ON | OFF, WasmFeatures::all(), "a bit without a name");
        assert_eq!(ON & OFF, WasmFeatures::empty());
    }

    #[test]
    fn the_engine_has_the_features_of_the_table_and_no_others() {
        let engine = engine();
        assert_eq!(engine.get_wasm_features(), ON);
        assert!(!engine.get_shared_memory());
        assert!(!engine.get_concurrency_support());
        assert!(!engine.get_wasm_branch_hinting());
        assert!(!engine.get_relaxed_simd_deterministic());
    }

    fn engine() -> Engine {
        let mut config = Config::new();
        configure(&mut config);
        Engine::new(&config).unwrap()
    }

    /// A sample in the text format for each feature that a module can use.
    const SAMPLES: &[(WasmFeatures, &str)] = &[
        (WasmFeatures::MUTABLE_GLOBAL, r#"(module (global (export "g") (mut i32) (i32.const 0)))"#),
        (
            WasmFeatures::SATURATING_FLOAT_TO_INT,
            "(module (func (drop (i32.trunc_sat_f32_s (f32.const 1)))))",
        ),
        (WasmFeatures::SIGN_EXTENSION, "(module (func (drop (i32.extend8_s (i32.const 1)))))"),
        (
            WasmFeatures::REFERENCE_TYPES,
            "(module (table 1 funcref) (table 1 funcref) (func (drop (table.size 1))))",
        ),
        (WasmFeatures::MULTI_VALUE, "(module (func (result i32 i32) i32.const 1 i32.const 2))"),
        (
            WasmFeatures::BULK_MEMORY,
            r#"(module (memory 1) (data $d "x")
                (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))))"#,
        ),
        (
            WasmFeatures::BULK_MEMORY_OPT,
            "(module (memory 1)
                (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))))",
        ),
        (WasmFeatures::SIMD, "(module (func (drop (i32x4.splat (i32.const 1)))))"),
        (
            WasmFeatures::RELAXED_SIMD,
            "(module (func (param v128) (drop
                (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))))",
        ),
        (WasmFeatures::TAIL_CALL, "(module (func $f (return_call $f)))"),
        (WasmFeatures::FLOATS, "(module (func (drop (f64.const 1))))"),
        (WasmFeatures::MULTI_MEMORY, "(module (memory 1) (memory 1))"),
        (
            WasmFeatures::EXTENDED_CONST,
            "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))",
        ),
        (WasmFeatures::COMPONENT_MODEL, "(component (core module))"),
        // A final type without a supertype is the same as any other type; these are not.
        (WasmFeatures::GC, "(module (type $a (sub (func))) (type $b (sub $a (func))))"),
        (WasmFeatures::GC, "(module (rec (type $a (func)) (type $b (func))))"),
        (WasmFeatures::GC, "(module (type (struct (field i32))))"),
        (WasmFeatures::GC, "(module (type (array i32)))"),
        (
            WasmFeatures::GC,
            "(module (type $a (sub (func))) (type $b (sub $a (func))) (table 1 funcref)
                (func $f (type $b)) (elem (i32.const 0) $f)
                (func (call_indirect (type $a) (i32.const 0))))",
        ),
        (
            WasmFeatures::GC,
            "(module (type $a (func)) (func (param funcref)
                (drop (ref.test (ref $a) (local.get 0)))))",
        ),
        (
            WasmFeatures::FUNCTION_REFERENCES,
            "(module (type $a (func)) (func (param (ref $a)) (call_ref $a (local.get 0))))",
        ),
        (WasmFeatures::GC_TYPES, "(module (table 1 externref))"),
        (WasmFeatures::GC_TYPES, "(module (func (param anyref)))"),
        (WasmFeatures::EXCEPTIONS, "(module (tag $e) (func (throw $e)))"),
        (WasmFeatures::EXCEPTIONS, "(module (func (block $b (try_table (catch_all $b)))))"),
        (WasmFeatures::EXCEPTIONS, "(module (table 1 exnref))"),
        (WasmFeatures::LEGACY_EXCEPTIONS, "(module (func try catch_all end))"),
        (
            WasmFeatures::STACK_SWITCHING,
            "(module (type $f (func)) (type $c (cont $f)) (func (param (ref $c))))",
        ),
        (WasmFeatures::THREADS, "(module (memory 1 2 shared))"),
        (
            WasmFeatures::THREADS,
            "(module (memory 1) (func (drop
                (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))))",
        ),
        (WasmFeatures::SHARED_EVERYTHING_THREADS, "(module (global (shared i32) (i32.const 0)))"),
        (WasmFeatures::MEMORY64, "(module (memory i64 1))"),
        (WasmFeatures::MEMORY64, "(module (table i64 1 funcref))"),
        (
            WasmFeatures::MEMORY_CONTROL,
            "(module (memory 1) (func (memory.discard (i32.const 0) (i32.const 1))))",
        ),
        (WasmFeatures::CUSTOM_PAGE_SIZES, "(module (memory 1 (pagesize 1)))"),
        (
            WasmFeatures::WIDE_ARITHMETIC,
            "(module (func (result i64 i64) (i64.mul_wide_u (i64.const 1) (i64.const 2))))",
        ),
        (WasmFeatures::CM_ASYNC, "(component (core func (canon task.cancel)))"),
        (WasmFeatures::CM_ASYNC, "(component (type (stream u8)))"),
        (WasmFeatures::CM_ASYNC, "(component (type (future u8)))"),
        (WasmFeatures::CM_ERROR_CONTEXT, "(component (type error-context))"),
        (WasmFeatures::CM_THREADING, "(component (core func (canon thread.index)))"),
        (
            WasmFeatures::CM_VALUES,
            r#"(component (import "v" (value $v string)) (export "w" (value $v)))"#,
        ),
        (WasmFeatures::CM_FIXED_LENGTH_LISTS, "(component (type (list u8 4)))"),
        (WasmFeatures::CM_MAP, "(component (type (map string u8)))"),
        (WasmFeatures::CM_NESTED_NAMES, r#"(component (import "a:b:c/d" (func)))"#),
    ];

    /// Features that the text format cannot express, or that need another disabled feature.
    /// Validation and the engine have the same setting for them.
    const WITHOUT_SAMPLE: WasmFeatures = WasmFeatures::CALL_INDIRECT_OVERLONG
        .union(WasmFeatures::CUSTOM_DESCRIPTORS)
        .union(WasmFeatures::COMPACT_IMPORTS)
        .union(WasmFeatures::CM_ASYNC_STACKFUL)
        .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
        .union(WasmFeatures::CM_GC)
        .union(WasmFeatures::CM64)
        .union(WasmFeatures::CM_IMPLEMENTS)
        .union(WasmFeatures::CM_CANON_NAMES);

    #[test]
    fn the_engine_accepts_what_validation_accepts() {
        let engine = engine();
        let mut sampled = WITHOUT_SAMPLE;
        for &(feature, text) in SAMPLES {
            sampled |= feature;
            let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let valid = |features| Validator::new_with_features(features).validate_all(&bytes);
            valid(WasmFeatures::all()).unwrap_or_else(|error| panic!("{text}: {error}"));
            let is_on = ON.contains(feature);
            assert_eq!(valid(ON).is_ok(), is_on, "validation: {text}");
            // Only a component, or a module inside one, can be compiled.
            let component = match text.starts_with("(component") {
                true => bytes.clone(),
                false => wat::parse_str(format!("(component (core {}", &text[1..]) + ")").unwrap(),
            };
            let compiled = engine.precompile_component(&component);
            assert_eq!(compiled.is_ok(), is_on, "the engine: {text}: {:?}", compiled.err());
        }
        assert_eq!(sampled, WasmFeatures::all(), "a feature has no sample");
    }
}
