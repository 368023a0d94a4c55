//! Bodies of several parts (RFC 7578): texts, and a file. The bytes are made before they are sent, as the record of an attempt has
//! their hash: the HTTP client's own forms are written while they are sent, with a random boundary.

/// A body with its `Content-Type`.
#[derive(Debug, Default)]
pub(crate) struct Form {
    parts: Vec<(String, Vec<u8>)>,
}

impl Form {
    /// Adds a text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        let head = format!("Content-Disposition: form-data; name=\"{name}\"\r\n");
        self.parts.push((head, value.as_bytes().to_vec()));
    }

    /// Adds JSON.
    pub(crate) fn json(&mut self, name: &str, value: &[u8]) {
        let head = format!(
            "Content-Disposition: form-data; name=\"{name}\"\r\nContent-Type: application/json\r\n"
        );
        self.parts.push((head, value.to_vec()));
    }

    /// Adds a picture.
    pub(crate) fn png(&mut self, name: &str, file: &str, bytes: &[u8]) {
        let head = format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: image/png\r\n"
        );
        self.parts.push((head, bytes.to_vec()));
    }

    /// Content type and body. The boundary occurs in no part.
    pub(crate) fn finish(self) -> (String, Vec<u8>) {
        let mut number = 0_u64;
        let occurs = |boundary: &str| {
            let needle = boundary.as_bytes();
            self.parts.iter().any(|(_, body)| body.windows(needle.len()).any(|it| it == needle))
        };
        let boundary = loop {
            let boundary = format!("crypto-intel-part-{number}");
            if !occurs(&boundary) {
                break boundary;
            }
            number += 1;
        };
        let mut body = Vec::new();
        for (head, part) in &self.parts {
            body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n").as_bytes());
            body.extend_from_slice(part);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={boundary}"), body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_in_no_part() {
        let mut form = Form::default();
        form.text("caption", "--crypto-intel-part-0 and crypto-intel-part-1");
        form.png("photo", "chart.png", b"\x89PNG");
        let (content_type, body) = form.finish();
        assert_eq!(content_type, "multipart/form-data; boundary=crypto-intel-part-2");
        let text = String::from_utf8_lossy(&body);
        assert_eq!(text.matches("--crypto-intel-part-2\r\n").count(), 2, "{text}");
        assert!(text.ends_with("\r\n--crypto-intel-part-2--\r\n"), "{text}");
    }
}
