//! Writes a version resource as an object file for the linker, for build scripts of programs and
//! libraries on Windows. Every linker accepts such a file, and no resource compiler is required.

use std::path::PathBuf;

/// The data that Windows shows about a file.
pub(crate) struct File {
    /// The file name.
    pub(crate) name: &'static str,
    /// A short description.
    pub(crate) description: &'static str,
    /// `VFT_APP` or `VFT_DLL`.
    pub(crate) kind: u32,
}

/// English (United States), and UTF-16.
const LANGUAGE: u16 = 0x0409;
const CODE_PAGE: u16 = 0x04B0;

/// Writes the object file if the target is Windows, and returns its path.
pub(crate) fn write(file: &File) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") != "windows" {
        return None;
    }
    // The machine type, and the relocation type for an address relative to the image base.
    let (machine, relocation) = match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        "x86_64" => (0x8664, 0x0003),
        "aarch64" => (0xAA64, 0x0002),
        "x86" => (0x014C, 0x0007),
        _unknown => return None,
    };
    let number = |name: &str| variable(name).parse().unwrap_or(0);
    let version = [
        number("CARGO_PKG_VERSION_MAJOR"),
        number("CARGO_PKG_VERSION_MINOR"),
        number("CARGO_PKG_VERSION_PATCH"),
    ];
    let object =
        object(machine, relocation, &information(file, version, &variable("CARGO_PKG_VERSION")));
    let path = PathBuf::from(variable("OUT_DIR")).join("version.o");
    std::fs::write(&path, object).expect("the folder is cargo's");
    Some(path)
}

/// Returns the `VS_VERSIONINFO`.
fn information(file: &File, [major, minor, patch]: [u16; 3], version: &str) -> Vec<u8> {
    let upper = u32::from(major) << 16 | u32::from(minor);
    let lower = u32::from(patch) << 16;
    // `VS_FIXEDFILEINFO`, for `VOS_NT_WINDOWS32`.
    let fixed: Vec<u8> = [
        0xFEEF_04BD,
        0x0001_0000,
        upper,
        lower,
        upper,
        lower,
        0x3F,
        0,
        0x0004_0004,
        file.kind,
        0,
        0,
        0,
    ]
    .into_iter()
    .flat_map(u32::to_le_bytes)
    .collect();
    let stem = file.name.split('.').next().unwrap_or_default();
    let strings: Vec<u8> = [
        ("CompanyName", "The syncmgr authors"),
        ("FileDescription", file.description),
        ("FileVersion", version),
        ("InternalName", stem),
        ("LegalCopyright", "MIT OR Apache-2.0"),
        ("OriginalFilename", file.name),
        ("ProductName", "syncmgr"),
        ("ProductVersion", version),
    ]
    .into_iter()
    .flat_map(|(name, value)| {
        let value: Vec<u8> = wide(value);
        let units = value.len() / 2;
        node(name, true, units, &value, &[])
    })
    .collect();
    let table = node(&format!("{LANGUAGE:04X}{CODE_PAGE:04X}"), true, 0, &[], &strings);
    let translation = [LANGUAGE.to_le_bytes(), CODE_PAGE.to_le_bytes()].concat();
    let translation = node("Translation", false, translation.len(), &translation, &[]);
    let children = [
        node("StringFileInfo", true, 0, &[], &table),
        node("VarFileInfo", true, 0, &[], &translation),
    ]
    .concat();
    node("VS_VERSION_INFO", false, fixed.len(), &fixed, &children)
}

/// Encodes a text as NUL-terminated UTF-16.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// Returns a node: its key, its value and its child nodes, each aligned.
fn node(key: &str, is_text: bool, value_length: usize, value: &[u8], children: &[u8]) -> Vec<u8> {
    let short = |number: usize| u16::try_from(number).expect("texts are short").to_le_bytes();
    let mut node = [[0; 2], short(value_length), short(usize::from(is_text))].concat();
    node.extend(wide(key));
    align(&mut node);
    node.extend(value);
    if !children.is_empty() {
        align(&mut node);
        node.extend(children);
    }
    let length = short(node.len());
    node[..2].copy_from_slice(&length);
    // Padding aligns the next node. It is not part of this node's length.
    align(&mut node);
    node
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// Returns a COFF file whose only section is `.rsrc`, with the data as the resource `RT_VERSION`,
/// 1.
fn object(machine: u16, relocation: u16, information: &[u8]) -> Vec<u8> {
    const HEADERS: u32 = 20 + 40;
    const SUBDIRECTORY: u32 = 0x8000_0000;
    /// Three directories with one entry each: type, name and language.
    const DIRECTORY: u32 = 24;
    const ENTRY: u32 = 3 * DIRECTORY;
    const DATA: u32 = ENTRY + 16;
    let long = |number: usize| u32::try_from(number).expect("texts are short");
    let mut section = Vec::new();
    for (name, offset) in [
        (16, SUBDIRECTORY | DIRECTORY),
        (1, SUBDIRECTORY | (2 * DIRECTORY)),
        (u32::from(LANGUAGE), ENTRY),
    ] {
        section.extend([0, 0, 0, 1 << 16, name, offset].into_iter().flat_map(u32::to_le_bytes));
    }
    let entry = [DATA, long(information.len()), 0, 0];
    section.extend(entry.into_iter().flat_map(u32::to_le_bytes));
    section.extend(information);
    align(&mut section);
    let relocations = HEADERS + long(section.len());
    let symbols = relocations + 10;
    let mut file = Vec::new();
    let shorts = |file: &mut Vec<u8>, numbers: &[u16]| {
        file.extend(numbers.iter().copied().flat_map(u16::to_le_bytes));
    };
    let longs = |file: &mut Vec<u8>, numbers: &[u32]| {
        file.extend(numbers.iter().copied().flat_map(u32::to_le_bytes));
    };
    shorts(&mut file, &[machine, 1]);
    longs(&mut file, &[0, symbols, 1, 0]);
    file.extend(b".rsrc\0\0\0");
    longs(&mut file, &[0, 0, long(section.len()), HEADERS, relocations, 0]);
    shorts(&mut file, &[1, 0]);
    // Initialized, readable, aligned to four bytes.
    longs(&mut file, &[0x4030_0040]);
    file.extend(section);
    longs(&mut file, &[ENTRY, 0]);
    shorts(&mut file, &[relocation]);
    // The static symbol of the section, and an empty string table.
    file.extend(b".rsrc\0\0\0");
    longs(&mut file, &[0]);
    shorts(&mut file, &[1, 0]);
    file.extend([3, 0]);
    longs(&mut file, &[4]);
    file
}
