use super::*;

fn meant(status: u16, body: &str) -> Outcome {
    outcome(&Answer::of(status, body).after(65), false)
}

#[test]
fn waits_as_exactly_as_the_body_says() {
    let Outcome::Wait { after, .. } = meant(
        429,
        r#"{"message":"You are being rate limited.","retry_after":64.57,"global":false}"#,
    ) else {
        panic!("must wait")
    };
    assert!((after.as_secs_f64() - 64.82).abs() < 0.001, "{after:?}");
    let Outcome::Wait { after, .. } = meant(429, "error code: 1015") else { panic!("must wait") };
    assert_eq!(after, Duration::from_secs(65), "a proxy says it in the header only");
}

#[test]
fn every_known_refusal_has_its_meaning() {
    for (status, code, label) in [
        (404, 10_015, "closed"),
        (401, 50_027, "closed"),
        (403, 50_013, "closed"),
        (400, 50_035, "refused"),
        (400, 50_006, "refused"),
        (400, 200_000, "plain_text"),
        (503, 130_000, "wait"),
        (500, 0, "not_sent"),
    ] {
        let body = json!({ "message": "no", "code": code }).to_string();
        assert_eq!(meant(status, &body).label(), label, "{status} {code}");
    }
    assert_eq!(meant(502, "<html>").label(), "uncertain");
    assert_eq!(meant(200, r#"{"id":"9"}"#), Outcome::Sent { message_id: "9".to_owned() });
    assert_eq!(meant(204, "").label(), "uncertain");
}
