//! Whether a dump can be restored into a database; checked before anything is written.

use std::path::Path;

use deadpool_postgres::Object;
use tokio_postgres::Client;

use super::{
    dump_contents::DumpContents,
    error::BackupError,
    facts::{DatabaseFacts, TimescaleFacts, texts},
    programs::PgProgram,
};
use crate::{
    error::{StoreError, describe},
    pool::store::Store,
    tables::Table,
};

/// How many names a message lists.
const MAX_LISTED_NAMES: usize = 6;

/// Roles that `migrate` creates and grants again.
const OWN_GROUPS: [&str; 2] = ["crypto_intel_writer", "crypto_intel_reader"];

/// What prevents a restore, and what it will change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestorePlan {
    /// Why it cannot be restored, and what to do about each reason.
    pub obstacles: Vec<String>,
    /// What will differ from the dumped database.
    pub warnings: Vec<String>,
    /// Whether this user may set the original owners; otherwise this user will own everything.
    pub keeps_owners: bool,
    /// Whether `pg_restore` is newer than the server: then it uses settings that the server does not know.
    pub program_is_newer: bool,
}

struct Target {
    major: u32,
    user: String,
    database: String,
    is_superuser: bool,
    roles: Vec<String>,
    /// Roles that this user is a member of.
    own_roles: Vec<String>,
    /// Objects in the database, `schema.name`, without those of extensions.
    objects: Vec<String>,
    /// Programs of a backup or restore that run in the database: process id and since when.
    running: Vec<String>,
    timescaledb: Timescale,
}

/// TimescaleDB on the server.
enum Timescale {
    /// The database has its extension.
    Installed { version: String, license: String },
    /// Its extension can be created in the version that is needed.
    Available { license: String },
    /// Its extension cannot be created, for this reason.
    Missing { reason: String },
}

const OWN_ROLES: &str =
    "SELECT rolname::text FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')";

const OBJECTS: &str = "SELECT nspname || '.' || name FROM ( \
    SELECT relname AS name, relnamespace AS namespace, oid, 'pg_class'::regclass AS class FROM pg_class \
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S') \
    UNION ALL SELECT proname, pronamespace, oid, 'pg_proc'::regclass FROM pg_proc) objects \
    JOIN pg_namespace ON pg_namespace.oid = namespace \
    WHERE nspname <> 'information_schema' AND nspname !~ '^pg_' \
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = class AND objid = objects.oid AND deptype = 'e') ORDER BY 1";

const RUNNING: &str = "SELECT format('%s since %s UTC', pid, \
    to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')) FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'crypto-intel-backup' ORDER BY 1";

/// Compares a dump with a database: which objects are in the way, which versions do not match, which roles are missing.
/// Changes nothing.
///
/// # Errors
/// When the database does not answer, or `pg_restore` is missing, fails, or is older than the dump.
pub async fn plan_restore(
    store: &Store,
    program: &PgProgram,
    file: &Path,
    facts: &DatabaseFacts,
    dumped_by_major: u32,
) -> Result<RestorePlan, BackupError> {
    let program_version = program.at_least(dumped_by_major, "the dump").await?;
    let contents = DumpContents::read(program, file).await?;
    let target = target(store, facts.timescaledb.as_ref()).await?;
    let mut plan = RestorePlan {
        program_is_newer: program_version.major > target.major,
        ..RestorePlan::default()
    };
    if !target.running.is_empty() {
        plan.obstacles.push(format!(
            "another backup or restore is running in database {} (process {}): wait for it, or end it with SELECT pg_terminate_backend(PROCESS)",
            target.database,
            target.running.join(", ")
        ));
    }
    let created = contents.created();
    let in_the_way: Vec<&String> =
        target.objects.iter().filter(|object| created.contains(*object)).collect();
    if !in_the_way.is_empty() {
        plan.obstacles.push(target.in_the_way(&in_the_way));
    }
    if target.major < facts.postgresql_major {
        plan.obstacles.push(format!(
            "the dump is of PostgreSQL {}, the server is {}: an older server cannot restore it, use {} or newer",
            facts.postgresql_major, target.major, facts.postgresql_major
        ));
    }
    target.compare_timescale(facts.timescaledb.as_ref(), &mut plan);
    target.compare_roles(facts, &mut plan);
    Ok(plan)
}

async fn target(store: &Store, wanted: Option<&TimescaleFacts>) -> Result<Target, StoreError> {
    let client = Object::take(store.client().await?);
    let fail = || StoreError::sql("read facts about the server");
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int, current_user::text, \
             current_database()::text, rolsuper FROM pg_roles WHERE rolname = current_user",
            &[],
        )
        .await
        .map_err(fail())?;
    Ok(Target {
        major: row.get::<_, i32>(0).unsigned_abs() / 10_000,
        user: row.get(1),
        database: row.get(2),
        is_superuser: row.get(3),
        roles: texts(&client, "SELECT rolname::text FROM pg_roles").await?,
        own_roles: texts(&client, OWN_ROLES).await?,
        objects: texts(&client, OBJECTS).await?,
        running: texts(&client, RUNNING).await?,
        timescaledb: timescale(&client, wanted).await?,
    })
}

async fn timescale(
    client: &Client,
    wanted: Option<&TimescaleFacts>,
) -> Result<Timescale, StoreError> {
    let fail = || StoreError::sql("ask for TimescaleDB");
    let license = async || {
        let sql = "SELECT coalesce(current_setting('timescaledb.license', true), '')";
        client.query_one(sql, &[]).await.map(|row| row.get::<_, String>(0))
    };
    let sql = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'";
    if let Some(row) = client.query_opt(sql, &[]).await.map_err(fail())? {
        let license = license().await.map_err(fail())?;
        return Ok(Timescale::Installed { version: row.get(0), license });
    }
    let Some(wanted) = wanted else {
        return Ok(Timescale::Missing { reason: "it is not in the database".to_owned() });
    };
    // CREATE EXTENSION without its library ends the session, so ask first.
    let sql = "SELECT current_setting('shared_preload_libraries') LIKE '%timescaledb%', \
        (SELECT string_agg(version, ', ') FROM pg_available_extension_versions WHERE name = 'timescaledb')";
    let row = client.query_one(sql, &[]).await.map_err(fail())?;
    let (is_loaded, versions): (bool, Option<String>) = (row.get(0), row.get(1));
    let Some(versions) = versions else {
        return Ok(Timescale::Missing { reason: "it is not installed there".to_owned() });
    };
    if !is_loaded {
        let reason = "it is not in shared_preload_libraries there".to_owned();
        return Ok(Timescale::Missing { reason });
    }
    // The edition is known only once the extension is created: try it and roll back.
    let attempt = format!("BEGIN; CREATE EXTENSION timescaledb VERSION '{}'", wanted.version);
    let created = client.batch_execute(&attempt).await;
    let found = match created {
        Ok(()) => Timescale::Available { license: license().await.map_err(fail())? },
        Err(error) => {
            let reason = describe(&error);
            Timescale::Missing { reason: format!("{reason}; it has {versions}") }
        }
    };
    client.batch_execute("ROLLBACK").await.map_err(fail())?;
    Ok(found)
}

impl Target {
    fn in_the_way(&self, objects: &[&String]) -> String {
        // The familiar ones first: our tables, other objects, internals of the extension.
        let ours = Table::ALL.map(Table::name);
        let mut objects = objects.to_vec();
        objects.sort_by_key(|name| {
            let is_internal = name.starts_with("_timescaledb");
            let table = name.split_once('.').map_or(name.as_str(), |(_, table)| table);
            (is_internal, ours.iter().position(|own| *own == table).unwrap_or(ours.len()))
        });
        let mut names: Vec<&str> = objects
            .iter()
            .take(MAX_LISTED_NAMES)
            .map(|name| name.trim_start_matches("public."))
            .collect();
        if objects.len() > MAX_LISTED_NAMES {
            names.push("…");
        }
        let database = &self.database;
        format!(
            "database {database} has {} already; if all of it may go: psql -d postgres -c 'DROP DATABASE \"{database}\" WITH (FORCE)' -c 'CREATE DATABASE \"{database}\" OWNER \"{}\"'",
            names.join(", "),
            self.user
        )
    }

    fn compare_timescale(&self, wanted: Option<&TimescaleFacts>, plan: &mut RestorePlan) {
        let Some(wanted) = wanted else {
            if let Timescale::Installed { version, .. } = &self.timescaledb {
                plan.warnings.push(format!(
                    "the dump is of plain PostgreSQL: its tables stay plain, although TimescaleDB {version} is here"
                ));
            }
            return;
        };
        let license = match &self.timescaledb {
            Timescale::Installed { version, license } => {
                if *version != wanted.version {
                    plan.obstacles.push(format!(
                        "the dump is of TimescaleDB {}, the database has {version}: its tables of chunks would not fit; \
                         restore with the same version, then ALTER EXTENSION timescaledb UPDATE",
                        wanted.version
                    ));
                }
                license
            }
            Timescale::Available { license } => license,
            Timescale::Missing { reason } => {
                plan.obstacles.push(format!(
                    "the dump is of TimescaleDB {}, which this server does not offer ({reason}): \
                     its hypertables cannot be created; use a server with the same version",
                    wanted.version
                ));
                return;
            }
        };
        if wanted.needs_community && license != "timescale" {
            plan.obstacles.push(
                "the dump has policies, continuous aggregates or compressed chunks, which TimescaleDB's Apache edition \
                 cannot hold: use the community edition"
                    .to_owned(),
            );
        } else if license != &wanted.license {
            plan.warnings.push(format!(
                "the dump is of TimescaleDB's {} edition, the server has another: hypertables stay what they are, \
                 what only the community edition has is not added",
                wanted.edition()
            ));
        }
        if !self.is_superuser {
            plan.warnings.push(format!(
                "user {} is not a superuser: TimescaleDB's own tables may reject the rows that the dump has for them",
                self.user
            ));
        }
    }

    fn compare_roles(&self, facts: &DatabaseFacts, plan: &mut RestorePlan) {
        let missing = |roles: &[String]| -> Vec<String> {
            roles.iter().filter(|role| !self.roles.contains(role)).cloned().collect()
        };
        let owners = missing(&facts.owners);
        plan.keeps_owners = facts.owners.iter().all(|owner| self.own_roles.contains(owner));
        if owners.is_empty() && !plan.keeps_owners {
            plan.warnings.push(format!(
                "user {} may not act for the owner {}: everything will be {}'s",
                self.user,
                facts.owners.join(", "),
                self.user
            ));
        }
        if !owners.is_empty() {
            plan.warnings.push(format!(
                "the owner {} is not on this server: everything will be {}'s; to keep it: {}",
                owners.join(", "),
                self.user,
                create_roles(&owners)
            ));
        }
        let mut grantees = missing(&facts.grantees);
        grantees.retain(|role| !owners.contains(role) && !OWN_GROUPS.contains(&role.as_str()));
        if !grantees.is_empty() {
            plan.warnings.push(format!(
                "{} not on this server: grants to {} are left out; to keep them: {}",
                if grantees.len() == 1 {
                    format!("role {} is", grantees[0])
                } else {
                    format!("roles {} are", grantees.join(", "))
                },
                if grantees.len() == 1 { "it" } else { "them" },
                create_roles(&grantees)
            ));
        }
    }
}

fn create_roles(roles: &[String]) -> String {
    let statements = roles.iter().map(|role| format!("CREATE ROLE \"{role}\""));
    format!("`{}` first", statements.collect::<Vec<_>>().join("; "))
}
