//! TOML with line numbers, and a table that knows which of its keys nobody asked for.

use super::Problem;
use core::cell::RefCell;
use core::fmt;
use core::ops::Range;
use std::path::Path;
use std::rc::Rc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and the line it stands in.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    /// The key that it stands behind, with those around it: `app.on.data`; items of a list have that of the list.
    key: Rc<str>,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
    List(Vec<Node>),
    Table(Vec<(String, usize, Node)>),
}

impl Value {
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Int(_) => "an integer",
            Self::Bool(_) => "a boolean",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Bool(yes) => write!(f, "{yes}"),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.value.to_string()).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Table(entries) => {
                let entries: Vec<String> = entries.iter().map(|(key, _, node)| format!("{key} = {}", node.value)).collect();
                write!(f, "{{ {} }}", entries.join(", "))
            }
        }
    }
}

/// Where a file is read: gives errors their place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(crate) const fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    pub(crate) fn problem(&self, line: usize, message: impl Into<String>) -> Problem {
        Problem { path: self.path.to_owned(), line, message: message.into() }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.text.as_bytes()[..span.start.min(self.text.len())].iter().filter(|&&byte| byte == b'\n').count()
    }

    pub(crate) fn parse(&self) -> Result<Node, Problem> {
        let table = DeTable::parse(self.text).map_err(|error| {
            let line = error.span().map_or(1, |span| self.line(&span));
            self.problem(line, error.message())
        })?;
        let line = self.line(&table.span());
        self.table(table.into_inner(), line, &Rc::from(""))
    }

    fn table(&self, table: DeTable<'_>, line: usize, path: &Rc<str>) -> Result<Node, Problem> {
        let mut entries = Vec::new();
        for (key, value) in table {
            let line = self.line(&key.span());
            let key = key.into_inner().into_owned();
            let inner = if path.is_empty() { key.as_str().into() } else { format!("{path}.{key}").into() };
            entries.push((key, line, self.node(value, &inner)?));
        }
        entries.sort_by_key(|entry| entry.1);
        Ok(Node { line, key: path.clone(), value: Value::Table(entries) })
    }

    fn node(&self, value: Spanned<DeValue<'_>>, key: &Rc<str>) -> Result<Node, Problem> {
        let line = self.line(&value.span());
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Boolean(yes) => Value::Bool(yes),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                Value::Int(parsed.map_err(|_| self.problem(line, "an integer out of range"))?)
            }
            DeValue::Array(items) => Value::List(items.into_iter().map(|item| self.node(item, key)).collect::<Result<_, _>>()?),
            DeValue::Table(table) => return self.table(table, line, key),
            DeValue::Float(_) | DeValue::Datetime(_) => {
                return Err(self.problem(line, "neither fractions nor dates stand here"));
            }
        };
        Ok(Node { line, key: key.clone(), value })
    }

    /// A value of another kind than the one that must stand there.
    fn expected(&self, what: &str, node: &Node) -> Problem {
        let key = if node.key.is_empty() { String::new() } else { format!("`{}`: ", node.key) };
        self.problem(node.line, format!("{key}expected {what}, found {}", node.value.kind()))
    }

    pub(crate) fn text<'n>(&self, node: &'n Node) -> Result<&'n str, Problem> {
        match &node.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.expected("a string", node)),
        }
    }

    pub(crate) fn count(&self, node: &Node) -> Result<usize, Problem> {
        match node.value {
            Value::Int(number) => usize::try_from(number).map_err(|_| self.expected("a number that is not negative", node)),
            _ => Err(self.expected("a number", node)),
        }
    }

    pub(crate) fn flag(&self, node: &Node) -> Result<bool, Problem> {
        match node.value {
            Value::Bool(yes) => Ok(yes),
            _ => Err(self.expected("true or false", node)),
        }
    }

    pub(crate) fn list<'n>(&self, node: &'n Node) -> Result<&'n [Node], Problem> {
        match &node.value {
            Value::List(items) => Ok(items),
            _ => Err(self.expected("an array", node)),
        }
    }

    pub(crate) fn keys<'n>(&self, node: &'n Node, of: &'static str) -> Result<Keys<'n>, Problem> {
        match &node.value {
            Value::Table(entries) => Ok(Keys { entries, line: node.line, of, asked: RefCell::default() }),
            _ => Err(self.expected("a table", node)),
        }
    }

    /// The only entry of a table such as `{ pattern = 5 }`.
    pub(crate) fn single<'n>(&self, node: &'n Node, what: &str) -> Result<(&'n str, &'n Node), Problem> {
        match &node.value {
            Value::Table(entries) if entries.len() == 1 => Ok((&entries[0].0, &entries[0].2)),
            _ => Err(self.expected(what, node)),
        }
    }
}

/// A table while it is read.
#[derive(Debug)]
pub(crate) struct Keys<'n> {
    entries: &'n [(String, usize, Node)],
    pub(crate) line: usize,
    of: &'static str,
    asked: RefCell<Vec<String>>,
}

impl<'n> Keys<'n> {
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.asked.borrow_mut().push(key.into());
        self.entries.iter().find(|entry| entry.0 == key).map(|entry| &entry.2)
    }

    pub(crate) fn need(&self, source: &Source<'_>, key: &str) -> Result<&'n Node, Problem> {
        self.get(key).ok_or_else(|| source.problem(self.line, format!("{} lacks `{key}`", self.of)))
    }

    /// Those that were not asked for yet.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &'n (String, usize, Node)> {
        let asked = self.asked.borrow().clone();
        self.entries.iter().filter(move |entry| !asked.contains(&entry.0))
    }

    /// Nothing else may stand here.
    pub(crate) fn end(&self, source: &Source<'_>) -> Result<(), Problem> {
        match self.rest().next() {
            None => Ok(()),
            Some((key, line, _)) => {
                let mut known = self.asked.borrow().clone();
                known.sort();
                known.dedup();
                let known = known.join(", ");
                Err(source.problem(*line, format!("{} has no `{key}`; it has: {known}", self.of)))
            }
        }
    }
}
