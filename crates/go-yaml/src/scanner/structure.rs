//! What a document is made of: its marks, collections, keys and values, anchors and aliases.

use super::{Kind, Scanned, Scanner, SimpleKey, is_word, missing_colon, still_valid, wrong};
use crate::Position;

impl<'t> Scanner<'t> {
    pub(super) fn fetch_stream_end(&mut self) -> Scanned<()> {
        // The last line ends, too: no candidate of it can become a key any more.
        if self.mark.column > 1 {
            self.mark = Position {
                line: self.mark.line + 1,
                column: 1,
            };
        }
        self.unroll_indent(-1, self.mark);
        self.remove_key()?;
        self.key_allowed = false;
        self.push(Kind::StreamEnd, self.mark);
        Ok(())
    }

    pub(super) fn fetch_document_mark(&mut self, kind: Kind<'t>) -> Scanned<()> {
        self.unroll_indent(-1, self.mark);
        self.remove_key()?;
        self.key_allowed = false;
        let start = self.mark;
        self.skip_many(3);
        self.push(kind, start);
        Ok(())
    }

    pub(super) fn fetch_flow_start(&mut self, kind: Kind<'t>) -> Scanned<()> {
        self.save_key()?;
        self.keys.push(SimpleKey {
            possible: false,
            required: false,
            token: 0,
            at: self.mark,
            index: self.index,
        });
        self.flow += 1;
        self.key_allowed = true;
        self.push_char(kind);
        Ok(())
    }

    pub(super) fn fetch_flow_end(&mut self, kind: Kind<'t>) -> Scanned<()> {
        self.remove_key()?;
        if self.flow > 0 {
            self.flow -= 1;
            self.keys.pop();
        }
        self.key_allowed = false;
        self.push_char(kind);
        Ok(())
    }

    pub(super) fn fetch_block_entry(&mut self) -> Scanned<()> {
        if self.flow == 0 {
            if !self.key_allowed {
                return wrong(
                    self.mark,
                    "a list cannot begin here: begin it on a line of its own",
                );
            }
            self.roll_indent(self.mark, None, Kind::BlockSequenceStart);
        }
        self.remove_key()?;
        self.key_allowed = true;
        self.push_char(Kind::BlockEntry);
        Ok(())
    }

    pub(super) fn fetch_key(&mut self) -> Scanned<()> {
        if self.flow == 0 {
            if !self.key_allowed {
                return wrong(self.mark, "a key cannot begin here");
            }
            self.roll_indent(self.mark, None, Kind::BlockMappingStart);
        }
        self.remove_key()?;
        self.key_allowed = self.flow == 0;
        self.push_char(Kind::Key);
        Ok(())
    }

    pub(super) fn fetch_value(&mut self) -> Scanned<()> {
        let (index, line) = (self.index, self.mark.line);
        let mut key = None;
        if let Some(last) = self.keys.last_mut()
            && still_valid(last, index, line)?
        {
            last.possible = false;
            key = Some(*last);
        }
        if let Some(key) = key {
            self.insert(key.token - self.taken, Kind::Key, key.at, key.at);
            self.roll_indent(key.at, Some(key.token), Kind::BlockMappingStart);
            self.key_allowed = false;
        } else {
            if self.flow == 0 {
                if !self.key_allowed {
                    // A text of several lines is no key: the first one has no colon.
                    if let Some(text) = self.queue.back()
                        && matches!(text.kind, Kind::Scalar { plain: true, .. })
                        && text.start.line < self.mark.line
                    {
                        return Err(missing_colon(text.start));
                    }
                    let message = "a second \"key: value\" on one line: put a text that contains \": \" in quotes, or \
                                   indent the line as its neighbours are";
                    return wrong(self.mark, message);
                }
                self.roll_indent(self.mark, None, Kind::BlockMappingStart);
            }
            self.key_allowed = self.flow == 0;
        }
        self.push_char(Kind::Value);
        Ok(())
    }

    pub(super) fn fetch_anchor(&mut self) -> Scanned<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.mark;
        let is_alias = self.byte(0) == b'*';
        self.skip();
        let name = self.word();
        let ends = self.is_blank_or_end(0) || b"?:,]}%@`".contains(&self.byte(0));
        if name.is_empty() || !ends {
            let message =
                "a name behind * or & has letters, digits, - and _; put a text that begins so in quotes";
            return wrong(start, message);
        }
        let kind = if is_alias {
            Kind::Alias(name)
        } else {
            Kind::Anchor(name)
        };
        self.push(kind, start);
        Ok(())
    }

    /// Letters, digits, `-` and `_`.
    pub(super) fn word(&mut self) -> &'t str {
        let start = self.offset;
        while is_word(self.byte(0)) {
            self.skip();
        }
        self.since(start)
    }
}
