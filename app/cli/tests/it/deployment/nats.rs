//! The accounts of nats/server.conf, and their table.

use std::fmt::Write as _;

use crypto_intel_nats::{Permissions, RoleSpec, Topology};

use super::{ADMIN, READER};

const WIDTH: usize = 116;

/// The block `accounts` of server.conf.
pub(super) fn accounts(roles: &[&RoleSpec], topology: &Topology) -> String {
    let mut text = String::from(
        "accounts {\n  # Streams, buckets, operators and roles. Every role may what its work needs, and no more.\n  \
         CRYPTO_INTEL {\n    jetstream: enabled\n    users: [\n      \
         # Operators and the command line (streams apply, replay, dlq), also one process that runs every role.\n",
    );
    let _ = writeln!(
        text,
        "      {{ user: {ADMIN}, password: {}, permissions {{ publish: \">\", subscribe: \">\" }} }}",
        password(ADMIN)
    );
    for role in roles {
        text.push_str(&user(role, &role.permissions(topology, roles)));
    }
    text.push_str("    ]\n");
    text.push_str(&shared(topology));
    text.push_str("  }\n\n");
    text.push_str(&outside(topology));
    text.push_str("}\n");
    text
}

fn password(user: &str) -> String {
    format!("$NATS_{}_PASSWORD", user.to_uppercase())
}

fn user(role: &RoleSpec, permissions: &Permissions) -> String {
    let mut text = format!(
        "      # {}: {}.\n      {{\n        user: {}, password: {}\n        permissions {{\n",
        role.name,
        role.summary,
        role.name,
        password(role.name)
    );
    text.push_str("          publish {\n            allow: [\n");
    for grant in &permissions.publish {
        let _ = writeln!(text, "              # {}", grant.reason);
        text.push_str(&list(14, &grant.subjects));
    }
    text.push_str("            ]\n");
    if !permissions.deny.is_empty() {
        text.push_str("            # durable consumers of other roles\n            deny: [\n");
        text.push_str(&list(14, &permissions.deny));
        text.push_str("            ]\n");
    }
    let _ =
        writeln!(text, "          }}\n          subscribe: [{}]", quoted(&permissions.subscribe));
    text.push_str("        }\n      }\n");
    text
}

/// What our account exports to the other one, and imports from it.
fn shared(topology: &Topology) -> String {
    let mut text = String::from("    exports: [\n      # What happens, to core subscribers.\n");
    for (_, subjects) in topology.copied() {
        for subject in subjects {
            let _ = writeln!(text, "      {{ stream: \"{subject}\", accounts: [OUTSIDE] }}");
        }
    }
    text.push_str("      # For the server's own copying: one consumer for each copy, where it delivers, its pace.\n");
    for (stream, _) in topology.copied() {
        let _ = writeln!(
            text,
            "      {{ service: \"$JS.API.CONSUMER.CREATE.{stream}\", accounts: [OUTSIDE] }}"
        );
    }
    text.push_str("      { stream: \"outside.deliver.>\", accounts: [OUTSIDE] }\n");
    text.push_str("      { service: \"$JS.FC.>\", accounts: [OUTSIDE] }\n    ]\n");
    text.push_str("    # `streams apply` makes the copies.\n    imports: [\n      ");
    text.push_str("{ service: { account: OUTSIDE, subject: \"$JS.API.STREAM.>\" }, to: \"outside.API.STREAM.>\" }\n    ]\n");
    text
}

fn outside(topology: &Topology) -> String {
    let mut text = String::from(
        "  # Outside teams. What they see are copies (nats/outside): whatever they do to consumers there, ours are elsewhere.\n  \
         # A team that must not disturb another gets a block like this of its own.\n  OUTSIDE {\n    jetstream: enabled\n    users: [\n",
    );
    let _ = writeln!(
        text,
        "      # Reads in any way that clients offer: core subscriptions, ordered, own and durable consumers, point reads. Its\n      \
         # clients may use the ordinary inbox prefix.\n      {{\n        user: {READER}, password: {}",
        password(READER)
    );
    let publish = [
        "$JS.API.INFO",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.LIST",
        "$JS.API.STREAM.INFO.*",
        "$JS.API.STREAM.MSG.GET.*",
        "$JS.API.DIRECT.GET.>",
        "$JS.API.CONSUMER.>",
        "$JS.ACK.>",
        "$JS.FC.>",
    ];
    let _ = writeln!(
        text,
        "        permissions {{\n          publish: [\n{}          ]",
        list(12, &owned(&publish))
    );
    let copied = topology.copied();
    let subjects = copied.iter().flat_map(|(_, subjects)| subjects).copied();
    let inboxes = ["_INBOX.>", "_INBOX_reader.>"];
    let subscribe: Vec<&str> = inboxes.into_iter().chain(subjects.clone()).collect();
    let _ = writeln!(
        text,
        "          subscribe: [\n{}          ]\n        }}\n      }}\n    ]",
        list(12, &owned(&subscribe))
    );
    text.push_str("    imports: [\n");
    for subject in subjects {
        let _ = writeln!(
            text,
            "      {{ stream: {{ account: CRYPTO_INTEL, subject: \"{subject}\" }} }}"
        );
    }
    text.push_str("      # The server alone uses these: no user may publish there.\n");
    for (stream, _) in &copied {
        let subject = format!("API.CONSUMER.CREATE.{stream}");
        let _ = writeln!(
            text,
            "      {{ service: {{ account: CRYPTO_INTEL, subject: \"$JS.{subject}\" }}, to: \"crypto_intel.{subject}\" }}"
        );
    }
    text.push_str("      { stream: { account: CRYPTO_INTEL, subject: \"outside.deliver.>\" } }\n");
    text.push_str("      { service: { account: CRYPTO_INTEL, subject: \"$JS.FC.>\" } }\n    ]\n");
    text.push_str("    # `streams apply`, as admin of the other account, makes the copies.\n");
    text.push_str("    exports: [\n      { service: \"$JS.API.STREAM.>\", accounts: [CRYPTO_INTEL] }\n    ]\n  }\n");
    text
}

fn owned(subjects: &[&str]) -> Vec<String> {
    subjects.iter().map(ToString::to_string).collect()
}

fn quoted(subjects: &[String]) -> String {
    let quoted: Vec<String> = subjects.iter().map(|subject| format!("\"{subject}\"")).collect();
    quoted.join(", ")
}

/// Subjects in lines of at most `WIDTH`.
fn list(indent: usize, subjects: &[String]) -> String {
    let mut lines = vec![String::new()];
    for subject in subjects {
        let item = format!("\"{subject}\",");
        let last = lines.last_mut().unwrap();
        if !last.is_empty() && last.len() + item.len() + 1 + indent > WIDTH {
            lines.push(item);
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(&item);
        }
    }
    lines.iter().fold(String::new(), |text, line| text + &" ".repeat(indent) + line + "\n")
}

/// The table of docs/operations.md.
pub(super) fn table(roles: &[&RoleSpec], topology: &Topology) -> String {
    let code = |items: &[&str]| {
        let items: Vec<String> = items.iter().map(|item| format!("`{item}`")).collect();
        items.join(" ")
    };
    let mut text = format!(
        "| user | publishes | reads | bucket keys it writes | secrets |\n| --- | --- | --- | --- | --- |\n\
         | `{ADMIN}` | everything | everything: the command line, `setup`, one process for all roles | all | `nats_{ADMIN}_password`, `database_url` |\n"
    );
    for role in roles {
        let queues = role.queues.iter().map(|queue| match queue.consumer {
            "*" => format!("its queues of {}", queue.stream),
            consumer => format!("its queue `{consumer}` of {}", queue.stream),
        });
        let read_only = role.buckets.iter().filter(|bucket| bucket.writes.is_empty());
        let reads: Vec<String> = role
            .reads
            .iter()
            .map(ToString::to_string)
            .chain(queues)
            .chain(read_only.map(|bucket| format!("`{}`", bucket.bucket.name())))
            .collect();
        let writes: Vec<String> = role
            .buckets
            .iter()
            .flat_map(|bucket| {
                bucket.writes.iter().map(|keys| format!("`{}/{keys}`", bucket.bucket.name()))
            })
            .collect();
        let secrets = role.secrets.iter().map(|secret| format!("`{}`", secret.file));
        let mut secrets: Vec<String> =
            [format!("`{}`", role.nats_password())].into_iter().chain(secrets).collect();
        if !role.own_secrets.is_empty() {
            secrets.push(role.own_secrets.to_owned());
        }
        let cells = [
            format!("`{}`", role.name),
            code(role.publishes),
            reads.join(", "),
            writes.join(" "),
            secrets.join(", "),
        ];
        let _ = writeln!(
            text,
            "| {} |",
            cells.map(|cell| if cell.is_empty() { "–".to_owned() } else { cell }).join(" | ")
        );
    }
    let copied: Vec<&str> = topology.copied().iter().map(|(stream, _)| *stream).collect();
    let _ = writeln!(
        text,
        "| `{READER}` | nothing | copies of {}, in an account of its own: for other teams | none | `nats_{READER}_password` |",
        copied.join(", ")
    );
    text
}
