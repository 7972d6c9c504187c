//! Components assembled by hand, most of which expand when they are instantiated.

use anyhow::Result;
use wasm_encoder::{
    BlockType, CodeSection, Component, ComponentSectionId, ComponentTypeSection, DataCountSection,
    DataSection, Function, FunctionSection, Instruction, MemorySection, MemoryType, Module,
    ModuleSection, RawSection, TypeSection, ValType,
};

use super::core::Core;

/// The end of a component, an empty export with the name of the plugin's export.
const EXPORT: &str = r#"(instance $none)
    (export "syncmgr:plugin/synchronize@0.1.0" (instance $none))"#;

/// A component in the text format, with an empty export of that name.
fn text(inside: &str) -> Result<Vec<u8>> {
    Ok(wat::parse_str(format!("(component {inside} {EXPORT})"))?)
}

/// A component around a core module.
fn around(module: &Module) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&ModuleSection(module));
    component.finish()
}

/// A conforming plugin with a core module that it does not use.
fn with_module(module: &Module) -> Result<Vec<u8>> {
    let mut bytes = Core::new().component()?;
    // The module's section alone, without the header of its component.
    bytes.extend(&around(module)[8..]);
    Ok(bytes)
}

/// Nothing.
pub fn nothing() -> Result<Vec<u8>> {
    Ok(Vec::new())
}

/// Text.
pub fn plain_text() -> Result<Vec<u8>> {
    Ok(b"(component)".to_vec())
}

/// Arbitrary bytes.
pub fn noise() -> Result<Vec<u8>> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let header = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
    Ok(header.into_iter().chain((0..10_000).map(|_| next())).collect())
}

/// A core module, which is not a component.
pub fn module() -> Result<Vec<u8>> {
    Ok(Module::new().finish())
}

/// The first half of a conforming plugin.
pub fn half() -> Result<Vec<u8>> {
    let mut bytes = Core::new().component()?;
    bytes.truncate(bytes.len() / 2);
    Ok(bytes)
}

/// A conforming plugin with a section of claimed length 4 GiB.
pub fn long_section() -> Result<Vec<u8>> {
    let mut bytes = Core::new().component()?;
    bytes.extend([0, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    Ok(bytes)
}

/// A component without exports.
pub fn no_exports() -> Result<Vec<u8>> {
    Ok(Component::new().finish())
}

/// A component with an empty export.
pub fn empty_export() -> Result<Vec<u8>> {
    text("")
}

/// A component whose export has a function of another type.
pub fn wrong_type() -> Result<Vec<u8>> {
    Ok(wat::parse_str(
        r#"(component
            (core module $m (func (export "f") (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i "f")))
            (instance $made (export "synchronize" (func $f)) (export "initialize" (func $f)))
            (export "syncmgr:plugin/synchronize@0.1.0" (instance $made)))"#,
    )?)
}

/// A component for a future version of the contract.
pub fn other_version() -> Result<Vec<u8>> {
    Ok(wat::parse_str(
        r#"(component (instance $none)
            (export "syncmgr:plugin/synchronize@9.0.0" (instance $none)))"#,
    )?)
}

/// A component with an unknown import.
pub fn unknown_import() -> Result<Vec<u8>> {
    text(r#"(import "evil:host/shell@1.0.0" (instance (export "run" (func (param "c" string)))))"#)
}

/// A component with an import of another type.
pub fn wrong_import() -> Result<Vec<u8>> {
    text(
        r#"(import "syncmgr:plugin/synchronize-callback@0.1.0"
            (instance (export "progress" (func (param "everything" string) (result string)))))"#,
    )
}

/// A component that imports an unknown function of a known interface.
pub fn missing_function() -> Result<Vec<u8>> {
    text(
        r#"(import "syncmgr:plugin/statistics@0.1.0"
            (instance (export "erase-everything" (func))))"#,
    )
}

/// A component that imports a core module instead of an instance.
pub fn imported_module() -> Result<Vec<u8>> {
    text(r#"(import "syncmgr:plugin/statistics@0.1.0" (core module))"#)
}

/// A component that instantiates its argument twice, and passes on a component that does the same,
/// thirty times. All definitions are small.
///
/// # Errors
/// Returns the errors of the text format.
pub fn handed_over() -> Result<Vec<u8>> {
    let mut outer = "(component $g0 (core module $m) (core instance (instantiate $m)))
        (component $twice
            (import \"f\" (component $f))
            (component $g
                (alias outer 1 0 (component $inner))
                (instance (instantiate $inner))
                (instance (instantiate $inner)))
            (export \"g\" (component $g)))"
        .to_owned();
    for level in 1..=30 {
        let below = level - 1;
        outer.push_str(&format!(
            "(instance $i{level} (instantiate $twice (with \"f\" (component $g{below}))))
             (alias export $i{level} \"g\" (component $g{level}))"
        ));
    }
    text(&format!("{outer} (instance (instantiate $g30))"))
}

/// Thirty levels, each of which instantiates the level below twice.
pub fn doubling() -> Result<Vec<u8>> {
    let mut inner = "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
    for level in 1..=30 {
        let below = level - 1;
        inner = format!(
            "(component $c{level} {inner} (instance (instantiate $c{below})) \
             (instance (instantiate $c{below})))"
        );
    }
    text(&format!("{inner} (instance (instantiate $c30))"))
}

/// A conforming plugin with nested components.
pub fn deep() -> Result<Vec<u8>> {
    let mut inner = Component::new().finish();
    for _ in 0..1_000 {
        let mut outer = Component::new();
        outer.section(&RawSection { id: ComponentSectionId::Component.into(), data: &inner });
        inner = outer.finish();
    }
    let mut bytes = Core::new().component()?;
    bytes.extend(&inner[8..]);
    Ok(bytes)
}

/// A type of nested lists, deeper than any stack.
pub fn deep_type() -> Result<Vec<u8>> {
    let mut types = ComponentTypeSection::new();
    types.defined_type().list(wasm_encoder::PrimitiveValType::U8);
    for below in 0..50_000 {
        types.defined_type().list(wasm_encoder::ComponentValType::Type(below));
    }
    let mut component = Component::new();
    component.section(&types);
    Ok(component.finish())
}

/// A type whose flattened form doubles with each level.
pub fn wide_type() -> Result<Vec<u8>> {
    let mut types = ComponentTypeSection::new();
    types.defined_type().tuple([wasm_encoder::PrimitiveValType::U8; 2]);
    for below in 0..60 {
        types.defined_type().tuple([wasm_encoder::ComponentValType::Type(below); 2]);
    }
    let mut component = Component::new();
    component.section(&types);
    Ok(component.finish())
}

/// A module with equal functions of a type: 0 is without parameters, 1 has 100, and 2 has one and a
/// result.
fn functions(
    count: u32,
    of_type: u32,
    locals: (u32, ValType),
    code: impl Fn(&mut Function),
) -> Module {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::I32; 100], []);
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut declared = FunctionSection::new();
    let mut section = CodeSection::new();
    let mut function = Function::new([locals]);
    code(&mut function);
    function.instruction(&Instruction::End);
    for _ in 0..count {
        declared.function(of_type);
        section.function(&function);
    }
    module.section(&types).section(&declared).section(&section);
    module
}

/// A conforming plugin with functions that only take time to compile.
fn with_sums(count: u32, adds: usize) -> Result<Vec<u8>> {
    with_module(&functions(count, 2, NO_LOCALS, |function| {
        function.instruction(&Instruction::LocalGet(0));
        for _ in 0..adds {
            function.instruction(&Instruction::LocalGet(0));
            function.instruction(&Instruction::I32Add);
        }
    }))
}

const NO_LOCALS: (u32, ValType) = (0, ValType::I32);

/// A function with more code than the limit.
pub fn huge_function() -> Result<Vec<u8>> {
    with_sums(1, 100_000)
}

/// A conforming plugin with very many small functions.
pub fn many_functions() -> Result<Vec<u8>> {
    with_sums(60_000, 4)
}

/// More functions than the limit of a module.
pub fn too_many_functions() -> Result<Vec<u8>> {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut declared = FunctionSection::new();
    (0..1_000_001).for_each(|_| {
        declared.function(0);
    });
    module.section(&types).section(&declared);
    Ok(around(&module))
}

/// A function with more locals than the limit.
pub fn many_locals() -> Result<Vec<u8>> {
    Ok(around(&functions(1, 0, (u32::MAX, ValType::I64), |_| {})))
}

/// A conforming plugin with a module of this number of functions, each with these locals and code.
fn with_code(count: u32, locals: u32, code: impl Fn(&mut Function)) -> Result<Vec<u8>> {
    with_module(&functions(count, 0, (locals, ValType::I32), code))
}

/// Code that changes each local.
fn change_all(function: &mut Function, locals: u32) {
    for local in 0..locals {
        function.instruction(&Instruction::LocalGet(local));
        function.instruction(&Instruction::LocalSet((local + 1) % locals));
    }
}

fn nested_loops(function: &mut Function, locals: u32, loops: u32) {
    for _ in 0..loops {
        function.instruction(&Instruction::Loop(BlockType::Empty));
    }
    change_all(function, locals);
    for _ in 0..loops {
        function.instruction(&Instruction::I32Const(0));
        function.instruction(&Instruction::BrIf(0));
        function.instruction(&Instruction::End);
    }
}

/// Locals that change inside many loops: 43 KB of code.
pub fn locals_in_loops() -> Result<Vec<u8>> {
    with_code(1, 4_000, |function| nested_loops(function, 4_000, 1_000))
}

/// Locals that are set before many blocks and used after them.
pub fn locals_across_blocks() -> Result<Vec<u8>> {
    with_code(1, 4_000, |function| {
        change_all(function, 4_000);
        for _ in 0..1_000 {
            function.instruction(&Instruction::I32Const(0));
            function.instruction(&Instruction::If(BlockType::Empty));
            function.instruction(&Instruction::End);
        }
        change_all(function, 4_000);
    })
}

/// Branches back to one loop, each with all locals.
pub fn branches_with_locals() -> Result<Vec<u8>> {
    with_code(1, 4_000, |function| {
        function.instruction(&Instruction::Loop(BlockType::Empty));
        change_all(function, 4_000);
        for _ in 0..1_000 {
            function.instruction(&Instruction::I32Const(0));
            function.instruction(&Instruction::BrIf(0));
        }
        function.instruction(&Instruction::End);
    })
}

/// Blocks that pass many values, without any local.
pub fn blocks_with_parameters() -> Result<Vec<u8>> {
    with_code(1, 0, |function| {
        function.instruction(&Instruction::Unreachable);
        for _ in 0..30_000 {
            function.instruction(&Instruction::Loop(BlockType::FunctionType(1)));
            function.instruction(&Instruction::Unreachable);
            function.instruction(&Instruction::End);
        }
    })
}

/// Many functions, each below the limit.
pub fn many_joining_functions() -> Result<Vec<u8>> {
    with_code(60, 1_000, |function| nested_loops(function, 1_000, 500))
}

/// A function with an unusual number of parameters.
pub fn wide_signature() -> Result<Vec<u8>> {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; 500], [ValType::I32; 500]);
    module.section(&types);
    with_module(&module)
}

/// A call of a function by a supertype of its type. It needs no garbage collector, but makes the
/// runtime look for one.
pub fn supertype_call() -> Result<Vec<u8>> {
    beside_text(
        "(type $a (sub (func))) (type $b (sub $a (func))) (table 1 funcref)
         (func $f (type $b)) (elem (i32.const 0) $f)
         (func $start (call_indirect (type $a) (i32.const 0))) (start $start)",
    )
}

/// A test of a function's type.
pub fn supertype_test() -> Result<Vec<u8>> {
    beside_text(
        "(type $a (sub (func))) (type $b (sub $a (func))) (table 1 funcref)
         (func $f (type $b)) (elem (i32.const 0) $f)
         (func $start (drop (ref.test (ref $a) (table.get 0 (i32.const 0))))) (start $start)",
    )
}

/// A call by a typed reference.
pub fn typed_reference() -> Result<Vec<u8>> {
    beside_text(
        "(type $a (func)) (func $f (type $a)) (elem declare func $f)
         (func $start (call_ref $a (ref.func $f))) (start $start)",
    )
}

/// An exception.
pub fn exception() -> Result<Vec<u8>> {
    beside_text("(tag $e) (func $start (throw $e)) (start $start)")
}

/// A conforming plugin with an instance of a core module in the text format.
fn beside_text(module: &str) -> Result<Vec<u8>> {
    let mut bytes = Core::new().component()?;
    let own = wat::parse_str(format!("(component (core module {module}))"))?;
    bytes.extend(&own[8..]);
    Ok(bytes)
}

/// Nested blocks.
pub fn deep_blocks() -> Result<Vec<u8>> {
    with_module(&functions(1, 0, NO_LOCALS, |function| {
        for _ in 0..40_000 {
            function.instruction(&Instruction::Block(BlockType::Empty));
        }
        for _ in 0..40_000 {
            function.instruction(&Instruction::End);
        }
    }))
}

/// More types than the limit of a module.
pub fn many_types() -> Result<Vec<u8>> {
    let mut types = TypeSection::new();
    (0..1_000_001).for_each(|_| types.ty().function([], []));
    let mut module = Module::new();
    module.section(&types);
    Ok(around(&module))
}

/// More data segments than the limit of a module.
pub fn many_segments() -> Result<Vec<u8>> {
    let mut module = Module::new();
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut data = DataSection::new();
    (0..200_000).for_each(|_| {
        data.passive([]);
    });
    module.section(&memories).section(&DataCountSection { count: 200_000 }).section(&data);
    Ok(around(&module))
}

/// A file above the size limit.
pub fn huge_data() -> Result<Vec<u8>> {
    let mut module = Module::new();
    let mut data = DataSection::new();
    data.passive(vec![1; 3 << 20]);
    module.section(&DataCountSection { count: 1 }).section(&data);
    Ok(around(&module))
}
