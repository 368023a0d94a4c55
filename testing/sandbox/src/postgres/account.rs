//! The unprivileged user that PostgreSQL runs as when we are root (it refuses to run as root).

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) user_id: u32,
    group_id: u32,
}

impl Account {
    /// The account to change to; none when we are not root.
    pub(super) fn for_postgres() -> anyhow::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
        let account = ["postgres", "nobody"].iter().find_map(|name| find(&passwd, name));
        Ok(Some(account.context(
            "PostgreSQL does not run as root, and /etc/passwd has no user postgres or nobody",
        )?))
    }

    /// Makes the command run as this user.
    pub(super) fn apply(&self, command: &mut Command) {
        command.uid(self.user_id).gid(self.group_id);
    }

    /// Gives one file or folder (not what is in it) to this user.
    pub(super) fn own(&self, path: &Path) -> anyhow::Result<()> {
        chown(path, Some(self.user_id), Some(self.group_id))
            .with_context(|| format!("give {} to user {}", path.display(), self.name))
    }

    /// Whether this user can get to a folder through all its parents.
    pub(super) fn can_reach(&self, folder: &Path) -> bool {
        let mut command = Command::new("test");
        command.arg("-x").arg(folder).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.apply(&mut command);
        command.status().is_ok_and(|status| status.success())
    }
}

fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let user_id = fields.nth(1)?.parse().ok()?;
        let group_id = fields.next()?.parse().ok()?;
        Some(Account { name: name.to_owned(), user_id, group_id })
    })
}
