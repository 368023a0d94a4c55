//! `pg_dump` and `pg_restore`: which program, of which version, and how it learns where the database is.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::error::BackupError;
use crate::pool::{address, config::StoreConfig};

/// How many lines of a failed program's error output are quoted.
const MAX_QUOTED_LINES: usize = 6;
/// Variables that would make the programs connect to another database, or add settings.
const REMOVED_VARIABLES: [&str; 15] = [
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGHOSTADDR",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGOPTIONS",
    "PGTARGETSESSIONATTRS",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLCRL",
    "PGREQUIRESSL",
    "PGREQUIREAUTH",
    "PGSSLNEGOTIATION",
];
/// Where systems keep their trusted authorities in one file. libpq accepts the word `system` only since PostgreSQL 16.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A program of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgProgram {
    path: PathBuf,
    /// The option of the command line that names it.
    option: &'static str,
}

/// Version of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PgVersion {
    /// Major version, e.g. 17.
    pub major: u32,
    /// Full version, e.g. `17.12`.
    pub full: String,
}

impl PgProgram {
    /// `pg_dump` in `PATH`, or the named one (`--pg-dump`).
    #[must_use]
    pub fn dump(named: Option<&Path>) -> Self {
        Self { path: named.unwrap_or(Path::new("pg_dump")).to_owned(), option: "pg-dump" }
    }

    /// `pg_restore` in `PATH`, or the named one (`--pg-restore`).
    #[must_use]
    pub fn restore(named: Option<&Path>) -> Self {
        Self { path: named.unwrap_or(Path::new("pg_restore")).to_owned(), option: "pg-restore" }
    }

    /// The `pg_restore` of the same installation: in the program's folder if it names one, else in `PATH`.
    #[must_use]
    pub fn restore_beside(&self) -> Self {
        Self { path: self.path.with_file_name("pg_restore"), option: self.option }
    }

    /// The version that it prints.
    ///
    /// # Errors
    /// When it cannot be run or prints no version.
    pub async fn version(&self) -> Result<PgVersion, BackupError> {
        let output = self.run(self.command().arg("--version")).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        parse_version(&text).ok_or_else(|| self.failed("no version", &text))
    }

    /// Rejects a program that is older than the server or the dump that it has to read.
    pub(super) async fn at_least(
        &self,
        wanted: u32,
        what: &'static str,
    ) -> Result<PgVersion, BackupError> {
        let version = self.version().await?;
        if version.major >= wanted {
            return Ok(version);
        }
        let program = self.path.clone();
        let option = self.option;
        Err(BackupError::ProgramTooOld { program, found: version.major, what, wanted, option })
    }

    /// A command that is killed when it is dropped.
    pub(super) fn command(&self) -> Command {
        let mut command = match parent_death_wrapper() {
            // A missing program must be reported as such, not as a failure of the wrapper.
            Some(wrapper) if exists(&self.path) => {
                let mut command = Command::new(wrapper);
                command.args(["--pdeathsig", "KILL", "--"]).arg(&self.path);
                command
            }
            _ => Command::new(&self.path),
        };
        command.kill_on_drop(true).env("LC_ALL", "C");
        command
    }

    /// A command that gets address and credentials of the database from its environment, because every user of the machine
    /// can see arguments.
    pub(super) fn command_to(&self, config: &StoreConfig) -> Result<Command, BackupError> {
        let mut command = self.command();
        for name in REMOVED_VARIABLES {
            command.env_remove(name);
        }
        command.envs(environment(config)?).arg("--no-password");
        Ok(command)
    }

    /// Runs a command of this program to its end.
    pub(super) async fn run(&self, command: &mut Command) -> Result<Output, BackupError> {
        self.run_with(command, "").await
    }

    /// As [`run`](Self::run), with a text as standard input.
    pub(super) async fn run_with(
        &self,
        command: &mut Command,
        input: &str,
    ) -> Result<Output, BackupError> {
        let output = self.output(command, input).await?;
        if output.status.success() { Ok(output) } else { Err(self.failure(&output)) }
    }

    /// As [`run_with`](Self::run_with), but a failure of the program is not an error.
    pub(super) async fn output(
        &self,
        command: &mut Command,
        input: &str,
    ) -> Result<Output, BackupError> {
        let not_run = |source| BackupError::NoProgram {
            program: self.path.clone(),
            option: self.option,
            source,
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(not_run)?;
        let stdin = child.stdin.take();
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that ends before it has read everything reports the reason itself.
                let _closed = stdin.write_all(input.as_bytes()).await;
            }
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), write);
        output.map_err(not_run)
    }

    /// A failed run as an error.
    pub(super) fn failure(&self, output: &Output) -> BackupError {
        self.failed(&output.status.to_string(), &String::from_utf8_lossy(&output.stderr))
    }

    fn failed(&self, status: &str, output: &str) -> BackupError {
        let lines: Vec<&str> =
            output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(MAX_QUOTED_LINES)..];
        BackupError::ProgramFailed {
            program: self.path.clone(),
            status: status.to_owned(),
            reason: last.join("; "),
        }
    }
}

fn exists(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// util-linux's `setpriv`, which ends a program when its parent is killed; `None` where it is missing. Without it a
/// `pg_restore` keeps writing after its parent was killed.
fn parent_death_wrapper() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let look = || {
        let path = std::env::var_os("PATH")?;
        let found = std::env::split_paths(&path)
            .map(|folder| folder.join("setpriv"))
            .find(|program| program.is_file())?;
        let mut trial = std::process::Command::new(&found);
        trial.args(["--pdeathsig", "KILL", "--", "true"]).stdin(Stdio::null());
        let works = trial.stdout(Stdio::null()).stderr(Stdio::null()).status();
        works.is_ok_and(|status| status.success()).then_some(found)
    };
    FOUND.get_or_init(look).as_deref()
}

/// The second number of `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, and `18beta1`.
fn parse_version(text: &str) -> Option<PgVersion> {
    let full = text.split_once("(PostgreSQL)")?.1.split_whitespace().next()?;
    let digits: String = full.chars().take_while(char::is_ascii_digit).collect();
    Some(PgVersion { major: digits.parse().ok()?, full: full.to_owned() })
}

/// The address as environment variables of libpq.
fn environment(config: &StoreConfig) -> Result<Vec<(&'static str, String)>, BackupError> {
    let address = address::parse(&config.url)?;
    let mut variables = vec![("PGAPPNAME", "crypto-intel-backup".to_owned())];
    let hosts: Vec<String> = address
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    let ports: Vec<String> = address.get_ports().iter().map(ToString::to_string).collect();
    let mut set = |name, value: String| {
        if !value.is_empty() {
            variables.push((name, value));
        }
    };
    set("PGHOST", hosts.join(","));
    set("PGPORT", if ports.is_empty() { "5432".to_owned() } else { ports.join(",") });
    set("PGUSER", address.get_user().unwrap_or_default().to_owned());
    set("PGDATABASE", address.get_dbname().unwrap_or_default().to_owned());
    set("PGPASSWORD", String::from_utf8_lossy(address.get_password().unwrap_or_default()).into());
    set("PGOPTIONS", address.get_options().unwrap_or_default().to_owned());
    match address.get_ssl_mode() {
        SslMode::Disable => set("PGSSLMODE", "disable".to_owned()),
        // As our own connections do: verify certificate and name.
        SslMode::Require => {
            set("PGSSLMODE", "verify-full".to_owned());
            set("PGSSLROOTCERT", authorities(config));
        }
        _ => set("PGSSLMODE", "prefer".to_owned()),
    }
    if address.get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
        set("PGTARGETSESSIONATTRS", "read-write".to_owned());
    }
    set("PGCONNECT_TIMEOUT", config.connect_timeout_ms.div_ceil(1_000).max(1).to_string());
    Ok(variables)
}

/// The file of the certificate authorities.
fn authorities(config: &StoreConfig) -> String {
    if let Some(path) = &config.tls_ca_file {
        return path.display().to_string();
    }
    let named = std::env::var("SSL_CERT_FILE").ok();
    let known = SYSTEM_AUTHORITIES.into_iter().map(ToOwned::to_owned);
    named
        .into_iter()
        .chain(known)
        .find(|path| Path::new(path).exists())
        .unwrap_or_else(|| "system".to_owned())
}

/// Name of the database in an address, for a program that takes it as an argument.
pub(super) fn database_name(config: &StoreConfig) -> Result<String, BackupError> {
    let address = address::parse(&config.url)?;
    let user = || std::env::var("USER").unwrap_or_default();
    let name = address.get_dbname().or(address.get_user());
    Ok(name.map_or_else(user, ToOwned::to_owned))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crypto_intel_service::Secret;

    use super::*;

    #[test]
    fn reads_versions_as_the_programs_print_them() {
        let major = |text| parse_version(text).map(|version| version.major);
        assert_eq!(major("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("pg_restore (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn the_password_is_in_the_environment_and_nowhere_else() {
        let url =
            Secret::new("postgres://me:s3cret@one:1,two:2/db?target_session_attrs=read-write");
        let config = StoreConfig { url, ..StoreConfig::default() };
        let variables = environment(&config).unwrap();
        let has = |name, value: &str| variables.contains(&(name, value.to_owned()));
        assert!(has("PGHOST", "one,two") && has("PGPORT", "1,2") && has("PGUSER", "me"));
        assert!(has("PGDATABASE", "db") && has("PGTARGETSESSIONATTRS", "read-write"));
        assert!(has("PGPASSWORD", "s3cret") && has("PGSSLMODE", "prefer"));
        let command = PgProgram::dump(None).command_to(&config).unwrap();
        let mut arguments = command.as_std().get_args();
        assert!(arguments.all(|argument| !argument.to_string_lossy().contains("s3cret")));
    }

    #[test]
    fn the_programs_verify_the_server_where_the_address_asks_for_it() {
        let told = |url: &str, tls_ca_file: Option<PathBuf>| {
            let url = Secret::new(url);
            let config = StoreConfig { url, tls_ca_file, ..StoreConfig::default() };
            let variables = environment(&config).unwrap();
            let value = |wanted| {
                variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
            };
            (value("PGSSLMODE").unwrap(), value("PGSSLROOTCERT"))
        };
        let full = "verify-full".to_owned();
        for mode in ["require", "verify-full"] {
            let url = format!("postgres://me@one/db?sslmode={mode}");
            let named = told(&url, Some("/some/ca.pem".into()));
            assert_eq!(named, (full.clone(), Some("/some/ca.pem".to_owned())));
            let (mode, authority) = told(&url, None);
            assert_eq!((mode, authority.is_some()), (full.clone(), true));
        }
        assert_eq!(told("postgres://me@one/db?sslmode=disable", None).0, "disable");
    }
}
