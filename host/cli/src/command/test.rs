use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use syncmgr_host::text::to_json;
use syncmgr_host::{Access, Grant, LoadLimits, Plugin, SessionOptions};
use syncmgr_install::InstallError;

use crate::args::Test;
use crate::check::{self, CHECKS, Fixture, Verdict};
use crate::escape::escape;
use crate::exit::{Exit, UsageError};
use crate::options::{key_value, once};
use crate::output;
use crate::output::{print_to_stderr, show_output};
use crate::plugin_source::{PluginSource, host, registrations};
use crate::project::Project;

pub(crate) fn run(args: &Test) -> anyhow::Result<Exit> {
    if args.list {
        let mut to = output::stdout();
        for check in CHECKS {
            writeln!(to, "{:<18} {}", check.name, check.about)?;
        }
        return Ok(Exit::InSync);
    }
    let (component, mut fixture) = component_and_fixture(args)?;
    fixture.output_hook = Some(show_output(print_to_stderr));
    let plugin = PluginSource::File(component)
        .load(&host(LoadLimits::default())?, &registrations(args.state_dir.path.as_deref())?)?;
    check_fixture(&plugin, &fixture)?;
    let mut to = output::stdout();
    // Prints each outcome immediately, so that a slow check is visible.
    let mut shown = Ok(());
    let report = check::test(&plugin, &fixture, &args.checks, |outcome| {
        if !args.json && shown.is_ok() {
            let text = outcome.text();
            let mut lines = text.lines();
            shown = lines.try_for_each(|line| writeln!(to, "{}", escape(line)));
        }
    })?;
    shown?;
    if args.json {
        writeln!(to, "{}", to_json(&report, true)?)?;
    } else {
        writeln!(to, "\n{}", report.totals())?;
    }
    if let Some(path) = &args.junit {
        let written = std::fs::write(path, report.junit()?);
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    if report.checks.iter().all(|outcome| matches!(outcome.verdict, Verdict::Skipped { .. })) {
        return Err(UsageError(
            "all checks were skipped; pass a fixture with `--fixture`".to_owned(),
        )
        .into());
    }
    Ok(if report.passed() { Exit::InSync } else { Exit::Failed })
}

/// Returns the component and its fixture.
fn component_and_fixture(args: &Test) -> anyhow::Result<(PathBuf, Fixture)> {
    let project = match &args.plugin {
        Some(_) => None,
        None => Some(Project::find(&std::env::current_dir()?)?),
    };
    let mut fixture = match (&args.fixture, &project) {
        (Some(folder), _) => Fixture::of_folder(folder)?,
        (None, Some(project)) => project_fixture(project)?,
        (None, None) => Fixture::default(),
    };
    let mut names = HashSet::new();
    for setting in &args.settings {
        let (name, value) = key_value(setting, "--set KEY=VALUE")?;
        once(&mut names, "--set", name)?;
        fixture.settings.insert(name.to_owned(), value.to_owned());
    }
    let component = match (&args.plugin, project) {
        (Some(path), _) => path.clone(),
        (None, Some(project)) => project.build()?.component,
        (None, None) => return Err(UsageError("no plugin given".to_owned()).into()),
    };
    Ok((component, fixture))
}

/// Checks that the plugin requests all grants and settings of a fixture, as for a run.
pub(crate) fn check_fixture(plugin: &Plugin, fixture: &Fixture) -> anyhow::Result<()> {
    let mut options = SessionOptions::new();
    // A folder with the name of a server is what that server has.
    let is_server = |name: &str| plugin.description().requests.server(name).is_some();
    for (name, folder) in fixture.directories.iter().filter(|(name, _)| !is_server(name)) {
        options = options.grant(Grant::new(name, folder, Access::ReadOnly)?);
    }
    for (name, value) in &fixture.settings {
        options = options.setting(name, value);
    }
    plugin.check_settings(&options)?;
    let grants = plugin.excess_grants(&options);
    match grants.is_empty() {
        true => Ok(()),
        false => {
            Err(InstallError::ExcessGrants { plugin: plugin.name().to_owned(), grants }.into())
        }
    }
}

/// The fixture that a project's manifest describes.
pub(crate) fn project_fixture(project: &Project) -> anyhow::Result<Fixture> {
    let given = &project.manifest().fixture;
    let mut fixture = Fixture { settings: given.settings.clone(), ..Fixture::default() };
    for (name, folder) in &given.directories {
        let folder = project.root().join(folder);
        if !folder.is_dir() {
            return Err(UsageError(format!(
                "the directory `{name}` of the fixture does not exist: {}",
                folder.display()
            ))
            .into());
        }
        fixture.directories.insert(name.clone(), folder);
    }
    Ok(fixture)
}
