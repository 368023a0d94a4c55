//! Finding the programs that the sandbox runs.
//!
//! Order: the folder in `CRYPTO_INTEL_TOOLS`, `.tools/bin` in the current folder or one of its parents (and, under
//! cargo, the parents of `CARGO_MANIFEST_DIR`), then `PATH`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The oldest nats-server with atomic batches.
const NATS_SERVER_MINIMUM: [u32; 2] = [2, 12];
const POSTGRES_VERSIONS: std::ops::RangeInclusive<u32> = 15..=18;

/// PostgreSQL's programs.
#[derive(Debug, Clone)]
pub struct PostgresTools {
    /// The folder with `initdb`, `postgres` and the rest.
    pub bin_dir: PathBuf,
    /// Major version, 15 to 18.
    pub version: u32,
    /// The folder of the whole installation, with all that the system may lack.
    pub installation: PathBuf,
}

impl PostgresTools {
    /// A command for one of the programs, such as `initdb` or `pg_dump`.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        postgres_command(&self.bin_dir, program)
    }

    /// Writes `pg_dump` and `pg_restore` of this installation into a folder, as scripts that need no environment.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write_clients(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).context("make the folder of programs")?;
        for program in ["pg_dump", "pg_restore"] {
            let command = self.command(program);
            let mut script = "#!/bin/sh\n".to_owned();
            for (name, value) in command.get_envs() {
                let value = value.unwrap_or_default().to_string_lossy();
                script.push_str(&format!("export {}='{value}'\n", name.to_string_lossy()));
            }
            let path = command.get_program().to_string_lossy();
            script.push_str(&format!("exec '{path}' \"$@\"\n"));
            let file = folder.join(program);
            std::fs::write(&file, script).context("write a program")?;
            std::fs::set_permissions(&file, Permissions::from_mode(0o755))
                .context("make a program executable")?;
        }
        Ok(())
    }
}

// The libraries of an unpacked installation need each other, but only its programs know where they are; an installation
// of the system needs nothing.
fn postgres_command(bin_dir: &Path, program: &str) -> Command {
    let mut command = Command::new(bin_dir.join(program));
    if !bin_dir.starts_with("/usr") {
        command.env("LD_LIBRARY_PATH", bin_dir.with_file_name("lib"));
    }
    command
}

/// Finds nats-server 2.12 or newer.
///
/// # Errors
/// Fails when there is none; the error says what to do.
pub fn nats_server() -> anyhow::Result<PathBuf> {
    let mut too_old = Vec::new();
    for path in candidates("nats-server") {
        match version_of(&path) {
            Some(version) if version >= NATS_SERVER_MINIMUM => return Ok(path),
            version => too_old.push(format!("{} ({version:?})", path.display())),
        }
    }
    if too_old.is_empty() {
        bail!("nats-server not found in CRYPTO_INTEL_TOOLS, .tools/bin or PATH: run `make tools`");
    }
    bail!("nats-server 2.12 or newer not found, only {}: run `make tools`", too_old.join(", "))
}

/// Finds anvil.
///
/// # Errors
/// Fails when there is none; the error says what to do.
pub fn anvil() -> anyhow::Result<PathBuf> {
    candidates("anvil").into_iter().next().context(
        "anvil not found in CRYPTO_INTEL_TOOLS, .tools/bin or PATH: run `make tools` (needs npm)",
    )
}

/// Finds Python 3: `.tools/python/bin/python`, which has the packages that the tests need, else `python3` in `PATH`.
///
/// # Errors
/// Fails when there is none; the error says what to do.
pub fn python() -> anyhow::Result<PathBuf> {
    let ours = tool_folders()
        .into_iter()
        .filter_map(|folder| Some(folder.parent()?.join("python/bin/python")))
        .find(|path| path.is_file());
    ours.or_else(|| candidates("python3").into_iter().next())
        .context("python3 not found in .tools/python or PATH: install it, then run `make tools`")
}

/// Finds PostgreSQL 15 to 18: in `.tools/postgresql/bin`, Debian's folders (newest first), or `PATH`.
///
/// # Errors
/// Fails when there is none; the error says what to do.
pub fn postgres() -> anyhow::Result<PostgresTools> {
    let mut folders = Vec::new();
    for tools in tool_folders() {
        folders.push(tools.clone());
        folders.extend(tools.parent().map(|parent| parent.join("postgresql/bin")));
    }
    for version in POSTGRES_VERSIONS.rev() {
        folders.push(PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    }
    folders.extend(path_folders());
    let mut unfit = Vec::new();
    for folder in folders {
        if !folder.join("initdb").is_file() || !folder.join("postgres").is_file() {
            continue;
        }
        // A wrapper or link in PATH may not have the other programs beside it.
        let initdb = folder.join("initdb").canonicalize().context("resolve initdb")?;
        let bin_dir = match initdb.parent() {
            Some(real) if real.join("postgres").is_file() => real.to_path_buf(),
            _ => folder,
        };
        match version_from(postgres_command(&bin_dir, "postgres")) {
            Some([version, _]) if POSTGRES_VERSIONS.contains(&version) => {
                let installation = bin_dir.parent().unwrap_or(&bin_dir).to_path_buf();
                return Ok(PostgresTools { bin_dir, version, installation });
            }
            _ => unfit.push(bin_dir.display().to_string()),
        }
    }
    let found = if unfit.is_empty() {
        String::new()
    } else {
        format!(" ({} is another)", unfit.join(", "))
    };
    bail!(
        "PostgreSQL 15 to 18 not found{found}: run `make tools`, or install the package `postgresql`"
    )
}

/// Finds the PostgreSQL with TimescaleDB that `make timescale` puts into `.tools/timescale`.
///
/// # Errors
/// Fails when there is none; the error says what to do.
pub fn timescale() -> anyhow::Result<PostgresTools> {
    for tools in tool_folders() {
        let Some(installation) = tools.parent().map(|parent| parent.join("timescale")) else {
            continue;
        };
        let bin_dir = installation.join("usr/lib/postgresql/17/bin");
        if let Some([version, _]) = version_from(postgres_command(&bin_dir, "postgres")) {
            return Ok(PostgresTools { bin_dir, version, installation });
        }
    }
    bail!(
        "no TimescaleDB in .tools/timescale: run `make timescale`, or set DATABASE_URL to a server"
    )
}

/// All places where `program` is, in the order of this module.
fn candidates(program: &str) -> Vec<PathBuf> {
    let mut folders = tool_folders();
    folders.extend(path_folders());
    folders.into_iter().map(|folder| folder.join(program)).filter(|path| path.is_file()).collect()
}

fn path_folders() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn tool_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    folders.extend(std::env::var_os("CRYPTO_INTEL_TOOLS").map(PathBuf::from));
    let starts = [
        std::env::current_dir().ok(),
        std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from),
        // A binary in target/ belongs to the checkout above it, wherever it is called from.
        std::env::current_exe().ok(),
    ];
    for start in starts.into_iter().flatten() {
        for folder in start.ancestors().map(|ancestor| ancestor.join(".tools/bin")) {
            if folder.is_dir() && !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    folders
}

/// Major and minor version as `--version` prints them: the first word that begins with two numbers.
fn version_of(program: &Path) -> Option<[u32; 2]> {
    version_from(Command::new(program))
}

fn version_from(mut program: Command) -> Option<[u32; 2]> {
    let output = program.arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

fn parse_version(text: &str) -> Option<[u32; 2]> {
    for word in text.split_whitespace() {
        let mut parts = word.trim_start_matches('v').split(|c: char| !c.is_ascii_digit());
        if let (Some(Ok(major)), Some(Ok(minor))) =
            (parts.next().map(str::parse), parts.next().map(str::parse))
        {
            return Some([major, minor]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_as_the_programs_print_them() {
        assert_eq!(parse_version("nats-server: v2.15.1"), Some([2, 15]));
        assert_eq!(
            parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"),
            Some([15, 14])
        );
        assert_eq!(parse_version("nats-server: vdevelopment"), None);
    }
}
