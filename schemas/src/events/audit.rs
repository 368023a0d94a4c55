use crate::{
    event::{body::event, event_kind::EventKind},
    sample_values::OBSERVED_AT_US,
    streams::Stream,
    subjects::forms as subjects,
};

event! {
    /// A change that a person or a program asked for, through the API or by a command.
    pub struct Audit: base {
        /// Who: the name of the API key, or of the user who ran the command.
        pub actor: String,
        /// Id of the API key; absent without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key: Option<String>,
        /// What was done, as thing and verb: `silence.add`, `watch.remove`.
        pub action: String,
        /// What it was done to: an address, an id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub target: Option<String>,
        /// Which way it came: `api`, `command` or `chat`.
        pub via: String,
        /// From where: the address of the client, the machine that the command ran on, or the destination and the person's id there.
        pub origin: String,
        /// Id of the request to the API, as in its log.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub request: Option<String>,
        /// What there was before, as JSON, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<String>,
        /// What there is now, as JSON; never a secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<String>,
    }
}

impl EventKind for Audit {
    const NAME: &'static str = "audit";
    const SCHEMA: &'static str = "audit/1";
    const SUBJECT: &'static str = "audit.<actor>.<thing>.<verb>";
    const STREAMS: &'static [(Stream, &'static str)] = &[(Stream::Audit, subjects::AUDIT_ALL)];
    const SOURCE: &'static str = "api";
    const IN_RULES: bool = false;

    fn subject(&self) -> String {
        subjects::audit(&self.actor, &self.action)
    }

    fn sample() -> Self {
        Audit {
            id: "audit:5f0c1e22aa90b7d4".to_owned(),
            actor: "desk".to_owned(),
            key: Some("Ab3dE9x0".to_owned()),
            action: "silence.add".to_owned(),
            target: Some("K7Q2M".to_owned()),
            via: "api".to_owned(),
            origin: "192.0.2.7".to_owned(),
            request: Some("5f0c1e22aa90b7d4".to_owned()),
            before: Some("{}".to_owned()),
            after: Some(r#"{"matchers":["rule=depeg"]}"#.to_owned()),
            ..Audit::at("api", OBSERVED_AT_US, OBSERVED_AT_US)
        }
    }
}
