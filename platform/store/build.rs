//! Embeds the files of `migrations/`, so that a new migration needs no code.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder =
        Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../migrations").canonicalize()?;
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut migrations = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "sql") {
            migrations.push((number(name)?, name.to_owned(), path));
        }
    }
    migrations.sort();
    let mut list = String::from("&[\n");
    for (_, name, path) in migrations {
        writeln!(list, "    ({name:?}, include_str!({path:?})),")?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("migrations.rs"), list)?;
    Ok(())
}

/// 12 of `V12__retention`.
fn number(name: &str) -> Result<u32, String> {
    let number =
        name.strip_prefix('V').and_then(|rest| rest.split_once("__")).map(|(number, _)| number);
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("migrations/{name}.sql is not named like V12__retention.sql"))
}
