//! Where things stand in the text of a notice file, so that an edit touches them and nothing else.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// What the first document of a text is.
#[derive(Debug, PartialEq)]
pub(super) enum Layout {
    /// Nothing but comments.
    Empty,
    /// A scalar such as `~` or `null`, which says nothing.
    Scalar(Range<usize>),
    List(List),
    /// Something that is no list of notices.
    Other,
}

#[derive(Debug, PartialEq)]
pub(super) struct List {
    pub(super) style: Style,
    /// From the first `-` or the `[`; of a list in brackets to behind the `]`.
    pub(super) span: Range<usize>,
    /// Columns in front of each `-`.
    pub(super) indent: usize,
    pub(super) entries: Vec<Entry>,
}

/// One notice. A block begins behind its `-`.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) style: Style,
    pub(super) span: Range<usize>,
    /// Columns in front of its keys.
    pub(super) indent: usize,
    pub(super) keys: Vec<(String, Value)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    /// The end of its key.
    pub(super) key_end: usize,
    /// Empty when there is none.
    pub(super) span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Lines with `-` or `key:`.
    Block,
    /// `[...]` or `{...}`, as in JSON.
    Flow,
    /// `*name`.
    Alias,
}

/// A collection that is open.
struct Open {
    style: Style,
    is_list: bool,
}

struct Builder<'t> {
    text: &'t str,
    /// The byte at which each character begins.
    bytes: Vec<usize>,
    open: Vec<Open>,
    layout: Layout,
    /// Of the entry that is being read: a key that waits for its value.
    key: Option<(String, usize)>,
    value: Option<Range<usize>>,
}

impl Layout {
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.char_indices().map(|(at, _)| at).chain(std::iter::once(text.len())).collect();
        let mut builder = Builder { text, bytes, open: Vec::new(), layout: Self::Empty, key: None, value: None };
        let mut parser = Parser::new_from_str(text);
        while let Some(Ok((event, span))) = parser.next_event() {
            match event {
                Event::StreamEnd | Event::DocumentEnd => break,
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
                Event::Scalar(scalar, style, ..) => {
                    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    builder.leaf(&scalar, span, if is_block { Style::Block } else { Style::Flow });
                }
                Event::Alias(_) => builder.leaf("", span, Style::Alias),
                Event::SequenceStart(..) => builder.begin(span, true),
                Event::MappingStart(..) => builder.begin(span, false),
                Event::SequenceEnd | Event::MappingEnd => builder.end(span),
            }
        }
        builder.layout
    }
}

impl Builder<'_> {
    fn byte(&self, character: usize) -> usize {
        self.bytes.get(character).copied().unwrap_or(self.text.len())
    }

    /// Without the space that the parser takes in behind a scalar.
    fn range(&self, span: Span) -> Range<usize> {
        let (from, to) = (self.byte(span.start.index()), self.byte(span.end.index()));
        from..from + self.text[from..to.max(from)].trim_end().len()
    }

    /// Notes that there is content up to `end`.
    fn reach(&mut self, end: usize) {
        if let Some(value) = &mut self.value {
            value.end = value.end.max(end);
        }
        if self.open.len() > 1
            && let Layout::List(list) = &mut self.layout
            && let Some(entry) = list.entries.last_mut()
        {
            entry.span.end = entry.span.end.max(end);
        }
    }

    fn leaf(&mut self, text: &str, span: Span, style: Style) {
        let range = self.range(span);
        match (self.open.len(), &mut self.layout) {
            (0, layout) => *layout = if range.is_empty() { Layout::Empty } else { Layout::Scalar(range) },
            (1, Layout::List(list)) => {
                let indent = span.start.col();
                list.entries.push(Entry { style, span: range, indent, keys: Vec::new() });
            }
            (2, _) => {
                self.reach(range.end);
                match self.key.take() {
                    None => self.key = Some((text.to_owned(), range.end)),
                    // Where there is no value, the parser is at whatever comes next.
                    Some((key, end)) if range.is_empty() => self.add(key, Value { key_end: end, span: end..end }),
                    // Of these the parser tells where the text begins, and not the | before it.
                    Some((key, end)) if style == Style::Block => {
                        let start = self.text[end..range.start].find(['|', '>']).map_or(range.start, |mark| end + mark);
                        self.add(key, Value { key_end: end, span: start..range.end });
                    }
                    Some((key, end)) => self.add(key, Value { key_end: end, span: range }),
                }
            }
            _ => self.reach(range.end),
        }
    }

    fn begin(&mut self, span: Span, is_list: bool) {
        let range = self.range(span);
        let at = range.start;
        let style = if self.text[at..].starts_with(['[', '{']) { Style::Flow } else { Style::Block };
        let indent = span.start.col();
        match (self.open.len(), &mut self.layout) {
            (0, layout) if is_list => {
                *layout = Layout::List(List { style, span: at..at, indent, entries: Vec::new() });
            }
            (0, layout) => *layout = Layout::Other,
            (1, Layout::List(list)) => {
                list.entries.push(Entry { style, span: at..at, indent, keys: Vec::new() });
            }
            (2, _) if self.key.is_some() => self.value = Some(at..at),
            _ => {}
        }
        self.open.push(Open { style, is_list });
    }

    fn end(&mut self, span: Span) {
        let Some(Open { style, is_list }) = self.open.pop() else { return };
        // The end of a block is wherever the next thing begins.
        if style == Style::Flow {
            // The parser takes in what follows, a comment too.
            let start = self.byte(span.start.index());
            let closed = self.text[start..].starts_with([']', '}']);
            let end = if closed { start + 1 } else { self.byte(span.end.index()) };
            if self.open.is_empty() {
                if let (Layout::List(list), true) = (&mut self.layout, is_list) {
                    list.span.end = end;
                }
            } else if self.open.len() == 1 {
                if let Layout::List(list) = &mut self.layout
                    && let Some(entry) = list.entries.last_mut()
                {
                    entry.span.end = end;
                }
            } else {
                self.reach(end);
            }
        }
        if self.open.len() == 2
            && let (Some((key, key_end)), Some(span)) = (self.key.take(), self.value.take())
        {
            self.add(key, Value { key_end, span });
        }
    }

    fn add(&mut self, key: String, value: Value) {
        if let Layout::List(list) = &mut self.layout
            && let Some(entry) = list.entries.last_mut()
        {
            entry.keys.push((key, value));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list(text: &str) -> List {
        let Layout::List(list) = Layout::of(text) else { panic!("{text:?} is no list") };
        list
    }

    fn told<'t>(text: &'t str, entry: &Entry) -> (&'t str, Vec<(String, &'t str)>) {
        let keys = entry.keys.iter().map(|(key, value)| (key.clone(), &text[value.span.clone()])).collect();
        (&text[entry.span.clone()], keys)
    }

    #[test]
    fn entries_and_values_are_found_in_every_style() {
        for text in [
            "- targets: [a]\n  cause: é x\n  action: b # c\n",
            "# é\r\n- targets: [a]\r\n  cause: é x\r\n  action: b # c\r\n",
            "---\n  -\n    targets: [a]\n    cause: é x\n    action: b # c",
            "[{targets: [a], cause: é x, action: b}]",
            "[\n  {\"targets\": [\"a\"], \"cause\": \"é x\", \"action\": \"b\"}\n]\n",
        ] {
            let list = list(text);
            let (_, keys) = told(text, &list.entries[0]);
            let plain: Vec<_> =
                keys.iter().map(|(key, value)| (key.as_str(), value.replace('"', ""))).collect::<Vec<_>>();
            let expected = [("targets", "[a]"), ("cause", "é x"), ("action", "b")];
            assert_eq!(plain, expected.map(|(key, value)| (key, value.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn an_entry_ends_where_its_last_value_ends() {
        let text = "\
- targets:
    - a
    - b
  cause: |
    one

    two
  action:
# of the next
-   {targets: [c], cause: 'it''s', next_update: }
- targets: [d]
  cause: >-
    folded
    text

# end
";
        let list = list(text);
        assert_eq!((list.style, list.indent, list.entries.len()), (Style::Block, 0, 3));
        let (whole, keys) = told(text, &list.entries[0]);
        assert!(whole.starts_with("targets:") && whole.ends_with("action"), "{whole:?}");
        assert_eq!(keys[0].1, "- a\n    - b");
        assert_eq!(keys[1].1, "|\n    one\n\n    two");
        assert_eq!(keys[2].1, "");
        let (whole, keys) = told(text, &list.entries[1]);
        assert_eq!(whole, "{targets: [c], cause: 'it''s', next_update: }");
        assert_eq!((list.entries[1].style, keys[1].1), (Style::Flow, "'it''s'"));
        let (whole, keys) = told(text, &list.entries[2]);
        assert!(whole.ends_with("folded\n    text"), "{whole:?}");
        assert_eq!(keys[1].1, ">-\n    folded\n    text");
    }

    #[test]
    fn what_is_no_list_is_told_apart() {
        for (text, layout) in [
            ("", Layout::Empty),
            ("# nothing\n---\n", Layout::Empty),
            ("~\n", Layout::Scalar(0..1)),
            ("a: b", Layout::Other),
        ] {
            assert_eq!(Layout::of(text), layout, "{text:?}");
        }
        let alias = list("- &a {targets: [a], cause: x}\n- *a\n");
        assert_eq!(alias.entries[1].style, Style::Alias);
        let flow = list("[] # none");
        assert_eq!((flow.style, flow.span), (Style::Flow, 0..2));
    }
}
