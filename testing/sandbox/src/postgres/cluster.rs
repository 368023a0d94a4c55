//! Creating the data folder: `initdb`, or a copy of a folder that was initialised before.

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::PostgresOptions;
use super::account::Account;
use crate::tools::PostgresTools;

/// Returns a data folder that a server can be started on.
pub(super) fn prepare(
    tools: &PostgresTools,
    account: Option<&Account>,
    options: &PostgresOptions,
    run_dir: &Path,
) -> anyhow::Result<PathBuf> {
    let data_dir = match (&options.data_dir, account) {
        (None, _) => run_dir.join("data"),
        (Some(folder), None) => folder.clone(),
        (Some(folder), Some(account)) => reachable(folder, account)?,
    };
    let version_file = data_dir.join("PG_VERSION");
    if version_file.is_file() {
        let version = std::fs::read_to_string(&version_file).context("read PG_VERSION")?;
        if version.trim() != tools.version.to_string() {
            bail!(
                "{} was made by PostgreSQL {}, but {} is version {}: install that version or choose another folder",
                data_dir.display(),
                version.trim(),
                tools.bin_dir.display(),
                tools.version
            );
        }
        return Ok(data_dir);
    }
    match template_dir(tools) {
        Some(template) => {
            ensure_template(tools, account, &template, run_dir)?;
            if data_dir.is_dir() {
                // Removes only an empty folder; anything else is not ours to overwrite.
                std::fs::remove_dir(&data_dir)
                    .with_context(|| format!("use {} as data folder", data_dir.display()))?;
            }
            copy(&template, &data_dir)?;
        }
        None => initdb(tools, account, &data_dir)?,
    }
    Ok(data_dir)
}

/// The installation itself, or a copy of it that the server's user can reach.
pub(super) fn reachable_tools(
    tools: PostgresTools,
    account: Option<&Account>,
) -> anyhow::Result<PostgresTools> {
    let Some(account) = account.filter(|account| !account.can_reach(&tools.bin_dir)) else {
        return Ok(tools);
    };
    // PostgreSQL finds its other files from where its programs are, so a copy of the whole works. One in a folder that
    // is closed to others (a checkout below /root) was unpacked there by `make tools` and is small.
    let installation = tools.installation.as_path();
    let copy_dir = in_var_tmp(&format!("postgresql-{}", tools.version), installation);
    if !copy_dir.is_dir() {
        let lock = File::create(copy_dir.with_extension("lock")).context("create lock file")?;
        lock.lock().context("lock copy of PostgreSQL")?;
        if !copy_dir.is_dir() {
            let unfinished = copy_dir.with_extension("unfinished");
            if unfinished.is_dir() {
                std::fs::remove_dir_all(&unfinished).context("remove unfinished copy")?;
            }
            // The copy belongs to root, no matter which user unpacked the original.
            run(Command::new("cp")
                .args(["-r", "--preserve=mode,timestamps,links", "-T"])
                .arg(installation)
                .arg(&unfinished))?;
            run(Command::new("chmod").args(["-R", "a+rX"]).arg(&unfinished))?;
            std::fs::rename(&unfinished, &copy_dir).context("finish copy of PostgreSQL")?;
        }
        tracing::info!(from = %installation.display(), to = %copy_dir.display(), user = account.name,
            "copied PostgreSQL to where the database's user can reach it");
    }
    ensure_ours(&copy_dir, account)?;
    let inside = tools.bin_dir.strip_prefix(installation).context("find the programs")?;
    let bin_dir = copy_dir.join(inside);
    if !account.can_reach(&bin_dir) {
        bail!(
            "PostgreSQL does not run as root, and user {} cannot reach {}: install the package `postgresql`",
            account.name,
            tools.bin_dir.display()
        );
    }
    Ok(PostgresTools { bin_dir, installation: copy_dir, ..tools })
}

// Any user can create files in /var/tmp; only folders of root or of the server's user are used.
fn ensure_ours(folder: &Path, account: &Account) -> anyhow::Result<()> {
    let metadata = std::fs::symlink_metadata(folder).context("look at folder in /var/tmp")?;
    if !metadata.is_dir() || ![0, account.user_id].contains(&metadata.uid()) {
        bail!("{} belongs to another user: remove it", folder.display());
    }
    Ok(())
}

fn in_var_tmp(what: &str, original: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    original.hash(&mut hasher);
    PathBuf::from(format!("/var/tmp/crypto-intel-{what}-{:016x}", hasher.finish()))
}

/// Whether this installation has TimescaleDB.
pub(super) fn has_timescale(tools: &PostgresTools) -> bool {
    let lib = tools.bin_dir.join("../lib");
    lib.join("timescaledb.so").is_file() || lib.join("postgresql/timescaledb.so").is_file()
}

// A data folder below, say, /root cannot be entered by the server's user. It then lives in /var/tmp, and the
// requested folder is a link to it.
fn reachable(folder: &Path, account: &Account) -> anyhow::Result<PathBuf> {
    if !folder.exists() && !folder.is_symlink() {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        account.own(folder)?;
    }
    if let Ok(real) = folder.canonicalize()
        && account.can_reach(&real)
    {
        return Ok(real);
    }
    let real = in_var_tmp("postgres", folder);
    std::fs::create_dir_all(&real).with_context(|| format!("create {}", real.display()))?;
    ensure_ours(&real, account)?;
    account.own(&real)?;
    if folder.is_symlink() {
        std::fs::remove_file(folder).context("remove old link")?;
    } else {
        std::fs::remove_dir(folder)
            .with_context(|| format!("replace {} by a link", folder.display()))?;
    }
    std::os::unix::fs::symlink(&real, folder).context("link data folder")?;
    tracing::info!(folder = %folder.display(), real = %real.display(), user = account.name,
        "data folder is a link, because the database's user cannot enter it");
    Ok(real)
}

fn initdb(tools: &PostgresTools, account: Option<&Account>, data_dir: &Path) -> anyhow::Result<()> {
    let mut command = tools.command("initdb");
    command
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"])
        .args(["--no-sync", "--no-instructions", "-D"])
        .arg(data_dir)
        .env("LC_ALL", "C")
        .current_dir("/");
    if let Some(account) = account {
        account.apply(&mut command);
    }
    run(&mut command)
}

// Under cargo every test is a process of its own; `initdb` costs seconds, a copy of its result does not.
fn template_dir(tools: &PostgresTools) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let target = program.ancestors().find(|folder| folder.ends_with("target"))?;
    let user = rustix::process::geteuid().as_raw();
    let build = if has_timescale(tools) { "timescale" } else { "plain" };
    Some(target.join(format!("crypto-intel/pg-template-{}-{build}-{user}", tools.version)))
}

fn ensure_template(
    tools: &PostgresTools,
    account: Option<&Account>,
    template: &Path,
    run_dir: &Path,
) -> anyhow::Result<()> {
    if is_usable(template, account) {
        return Ok(());
    }
    let parent = template.parent().context("find folder of the template")?;
    std::fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    let lock = File::create(template.with_extension("lock")).context("create lock file")?;
    lock.lock().context("lock template")?;
    if is_usable(template, account) {
        return Ok(());
    }
    if template.is_dir() {
        std::fs::remove_dir_all(template).context("remove template of another user")?;
    }
    // The server's user can write to the run folder, not to ours; the rename makes the template appear whole.
    let fresh = run_dir.join("template");
    initdb(tools, account, &fresh)?;
    let unfinished = template.with_extension("unfinished");
    if unfinished.is_dir() {
        std::fs::remove_dir_all(&unfinished).context("remove unfinished template")?;
    }
    copy(&fresh, &unfinished)?;
    std::fs::remove_dir_all(&fresh).context("remove initialised folder")?;
    std::fs::rename(&unfinished, template).context("finish template")
}

// A target folder that was copied, cached or handed over has a template that the server may not read.
fn is_usable(template: &Path, account: Option<&Account>) -> bool {
    let owner =
        account.map_or_else(|| rustix::process::geteuid().as_raw(), |account| account.user_id);
    std::fs::metadata(template.join("PG_VERSION")).is_ok_and(|metadata| metadata.uid() == owner)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    run(Command::new("cp").args(["-a", "--reflink=auto", "-T"]).arg(from).arg(to))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Removes the shared memory of a server that was killed. The server itself would remove it at its next start, but a folder that
/// goes has none, and a system has room for 4,096 such segments (`kernel.shmmni`).
pub(super) fn remove_shared_memory(data_dir: &Path) {
    let Some(segment) = shared_memory_of(data_dir) else { return };
    // Without the program, or when it was removed already, the segment is no worse off than before.
    let _ = Command::new("ipcrm").args(["-m", &segment]).stderr(Stdio::null()).status();
}

/// The id of a server's shared memory: `postmaster.pid` has its key and its id in the seventh line.
fn shared_memory_of(data_dir: &Path) -> Option<String> {
    let text = std::fs::read_to_string(data_dir.join("postmaster.pid")).ok()?;
    text.lines().nth(6)?.split_whitespace().nth(1).map(ToOwned::to_owned)
}
