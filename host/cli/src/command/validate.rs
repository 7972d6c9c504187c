use std::io::Write;

use serde::Serialize;
use syncmgr_host::{Host, LoadError};

use crate::args::Validate;
use crate::escape::escape;
use crate::exit::Exit;

#[derive(Serialize)]
struct Verdict {
    file: String,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

pub(crate) fn run(args: &Validate) -> anyhow::Result<Exit> {
    let host = Host::new()?;
    let loaded = host.load_file(&args.file);
    let file = args.file.display().to_string();
    let mut to = std::io::stdout().lock();
    if args.json {
        let error = loaded.as_ref().err();
        let verdict = Verdict {
            file,
            valid: error.is_none(),
            code: error.map(LoadError::code),
            message: error.map(ToString::to_string),
        };
        serde_json::to_writer(&mut to, &verdict)?;
        writeln!(to)?;
        return Ok(if verdict.valid { Exit::InSync } else { Exit::Usage });
    }
    let plugin = loaded?;
    writeln!(
        to,
        "{} is a plugin of syncmgr:plugin@{}",
        escape(&file),
        escape(&plugin.description().contract_version)
    )?;
    Ok(Exit::InSync)
}
