//! Lists the files of `providers/`, so that a source needs no line of code.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("providers");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder)? {
        names.push(entry?.file_name().into_string().map_err(|_| "a name is not UTF-8")?);
    }
    names.retain(|name| name.ends_with(".toml"));
    names.sort();
    let mut list = String::from("&[\n");
    for name in names {
        let (origin, path) = (format!("providers/{name}"), folder.join(&name));
        writeln!(list, "    ({origin:?}, include_str!({path:?})),")?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("providers.rs"), list)?;
    Ok(())
}
