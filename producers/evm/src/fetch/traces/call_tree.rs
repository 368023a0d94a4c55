//! The trees of `debug_traceBlockByHash`, read in one pass and without recursion: a contract decides how deep its calls
//! are nested, and must not be able to hide payments of the block's other calls.

/// Maximum depth of calls that is read; the EVM allows 1,024.
const MAX_DEPTH: usize = 1_100;

/// The trace of one transaction.
#[derive(Debug, Default)]
pub(super) struct Traced<'a> {
    /// A JSON string with its quotes, like the texts below.
    pub(super) tx_hash: Option<&'a str>,
    /// Its calls, each before its inner calls; empty if it could not be traced.
    pub(super) frames: Vec<Frame<'a>>,
}

/// One call.
#[derive(Debug, Default)]
pub(super) struct Frame<'a> {
    /// 0 for the transaction itself.
    pub(super) depth: usize,
    /// Its index among the calls of the same caller.
    pub(super) place: u32,
    pub(super) kind: Option<&'a str>,
    pub(super) from: Option<&'a str>,
    pub(super) to: Option<&'a str>,
    pub(super) value: Option<&'a str>,
    /// It was reverted, with everything inside it.
    pub(super) failed: bool,
}

/// Reads an answer.
///
/// # Errors
/// With what was expected and where.
pub(super) fn read(text: &str) -> Result<Vec<Traced<'_>>, String> {
    let mut cursor = Cursor { text, at: 0 };
    let mut traced = Vec::new();
    cursor.expect(b'[')?;
    if cursor.take(b']') {
        return Ok(traced);
    }
    loop {
        traced.push(cursor.transaction()?);
        if cursor.take(b']') {
            return Ok(traced);
        }
        cursor.expect(b',')?;
    }
}

/// A position in JSON text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// A call whose end was not read yet.
struct Open {
    frame: usize,
    calls: u32,
}

impl<'a> Cursor<'a> {
    fn transaction(&mut self) -> Result<Traced<'a>, String> {
        let mut traced = Traced::default();
        self.expect(b'{')?;
        while !self.take(b'}') {
            self.take(b',');
            match self.key()? {
                "\"txHash\"" => traced.tx_hash = self.text_or_other()?,
                "\"result\"" if self.peek() == Some(b'{') => traced.frames = self.tree()?,
                _ => self.skip()?,
            }
        }
        Ok(traced)
    }

    fn tree(&mut self) -> Result<Vec<Frame<'a>>, String> {
        let mut frames = Vec::new();
        let mut open = Vec::new();
        self.begin(&mut frames, &mut open)?;
        loop {
            if self.take(b'}') {
                open.pop();
                if open.is_empty() {
                    return Ok(frames);
                }
                // In the caller's list of calls.
                if self.take(b',') {
                    self.begin(&mut frames, &mut open)?;
                } else {
                    self.expect(b']')?;
                }
                continue;
            }
            self.take(b',');
            let key = self.key()?;
            if key == "\"calls\"" && self.take(b'[') {
                if !self.take(b']') {
                    self.begin(&mut frames, &mut open)?;
                }
                continue;
            }
            let place = open.last().map_or(0, |open| open.frame);
            let Some(frame) = frames.get_mut(place) else { return Err(self.unexpected("a call")) };
            match key {
                "\"type\"" => frame.kind = self.text_or_other()?,
                "\"from\"" => frame.from = self.text_or_other()?,
                "\"to\"" => frame.to = self.text_or_other()?,
                "\"value\"" => frame.value = self.text_or_other()?,
                "\"error\"" => {
                    frame.failed = self.peek() != Some(b'n');
                    self.skip()?;
                }
                _ => self.skip()?,
            }
        }
    }

    fn begin(&mut self, frames: &mut Vec<Frame<'a>>, open: &mut Vec<Open>) -> Result<(), String> {
        self.expect(b'{')?;
        let depth = open.len();
        if depth > MAX_DEPTH {
            return Err(format!("calls are nested deeper than {MAX_DEPTH}"));
        }
        let place = open.last_mut().map_or(0, |caller| {
            caller.calls += 1;
            caller.calls - 1
        });
        open.push(Open { frame: frames.len(), calls: 0 });
        frames.push(Frame { depth, place, ..Frame::default() });
        Ok(())
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let blank = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.at += blank;
        rest.get(blank).copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: u8) -> Result<(), String> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(self.unexpected(&char::from(wanted).to_string()))
        }
    }

    fn unexpected(&self, wanted: &str) -> String {
        format!("expected {wanted} at byte {}", self.at)
    }

    fn key(&mut self) -> Result<&'a str, String> {
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// A string with its quotes; any other value is skipped.
    fn text_or_other(&mut self) -> Result<Option<&'a str>, String> {
        if self.peek() == Some(b'"') {
            return self.string().map(Some);
        }
        self.skip()?;
        Ok(None)
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let expected = self.unexpected("a string");
        if self.peek() != Some(b'"') {
            return Err(expected);
        }
        let begin = self.at;
        self.at += 1;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            let Some(stop) = stop else { return Err(expected) };
            let is_escape = rest.get(stop) == Some(&b'\\');
            self.at += stop + 1 + usize::from(is_escape);
            if !is_escape {
                return self.text.get(begin..self.at).ok_or(expected);
            }
        }
    }

    /// Skips one value of any depth.
    fn skip(&mut self) -> Result<(), String> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => self.at += 1,
                Some(byte) if byte.is_ascii_alphanumeric() || byte == b'-' => {
                    let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
                    let is_part = |byte: &u8| {
                        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
                    };
                    let end = rest.iter().position(|byte| !is_part(byte));
                    self.at += end.unwrap_or(rest.len());
                }
                _ => return Err(self.unexpected("a value")),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}
