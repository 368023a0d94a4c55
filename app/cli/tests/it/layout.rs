//! docs/layout.md matches the tree: its paths exist, its map is complete, its walks enter each file once.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Folders of the workspace's crates.
fn crates() -> Vec<String> {
    let workspace = std::fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let (_, rest) = workspace.split_once("members = [").unwrap();
    let (members, _) = rest.split_once(']').unwrap();
    members.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn layout() -> String {
    std::fs::read_to_string(repository().join("docs/layout.md")).unwrap()
}

/// Paths of the tree between backticks: without expressions and paths that have a placeholder.
fn paths(text: &str) -> BTreeSet<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    spans
        .filter(|span| span.contains('/') && !span.contains(['<', ' ', '(', '{', ':']))
        .filter(|span| !span.starts_with("tests/"))
        .collect()
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.starts_with("http"))
        .map(|target| target.split('#').next().unwrap_or(target))
}

#[test]
fn every_path_and_link_of_the_layout_page_exists() {
    let text = layout();
    let missing: Vec<&str> =
        paths(&text).into_iter().filter(|path| !repository().join(path).exists()).collect();
    assert_eq!(missing, [] as [&str; 0], "docs/layout.md names what is not there");
    let docs = repository().join("docs");
    let dead: Vec<&str> = links(&text).filter(|target| !docs.join(target).exists()).collect();
    assert_eq!(dead, [] as [&str; 0], "docs/layout.md links to what is not there");
}

#[test]
fn every_folder_of_sources_is_in_the_map() {
    let text = layout();
    let map = text.split("\n## Walks").next().unwrap();
    let named = paths(map);
    let mut lacking = Vec::new();
    for package in crates() {
        let sources = repository().join(&package).join("src");
        let mut folders = vec![format!("{package}/src")];
        for entry in sources.read_dir().unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            // A folder beside a file of that name holds the file's tests or parts.
            let is_part = sources.join(format!("{name}.rs")).exists();
            if entry.file_type().unwrap().is_dir() && !is_part {
                folders.push(format!("{package}/src/{name}"));
            }
        }
        lacking.extend(folders.into_iter().filter(|folder| !named.contains(folder.as_str())));
    }
    assert_eq!(lacking, [] as [String; 0], "docs/layout.md lacks folders");
}

#[test]
fn no_walk_enters_a_file_twice() {
    let text = layout();
    let walks = text.split("\n## Walks").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut count = 0;
    for walk in walks.split("\n### ").skip(1) {
        let title = walk.lines().next().unwrap();
        let steps =
            walk.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
        let files: Vec<&str> = steps.map(|step| step.split('`').nth(1).unwrap()).collect();
        let different: BTreeSet<&&str> = files.iter().collect();
        assert_eq!(different.len(), files.len(), "{title} enters a file twice: {files:?}");
        assert!(files.len() > 5, "{title}: {files:?}");
        count += 1;
    }
    assert_eq!(count, 4, "head to batch, message to row, event to chat, answer to event");
}
