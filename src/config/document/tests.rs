use super::super::keepalived::Place;
use super::*;
use toml::de::{DeTable, DeValue};

fn at(line: u32) -> Place {
    Place { file: 0, line, column: 1 }
}

/// Is `value` what stands in the text?
fn same(value: &Value, read: &DeValue<'_>) -> bool {
    match (value, read) {
        (Value::Text(a), DeValue::String(b)) => a == b,
        (Value::Number(a), DeValue::Integer(b)) => i64::from_str_radix(b.as_str(), b.radix()) == Ok(*a),
        (Value::Flag(a), DeValue::Boolean(b)) => a == b,
        (Value::List(a), DeValue::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b.get_ref()))
        }
        (Value::Keys(a), DeValue::Table(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(*key).is_some_and(|b| same(value, b.get_ref())))
        }
        _ => false,
    }
}

/// Is this table, whose own name ends in `name`, what stands in the text?
fn same_table(table: &Table, read: &DeValue<'_>) -> bool {
    let DeValue::Table(read) = read else { return false };
    let rows = table.rows.iter().all(|row| read.get(row.key).is_some_and(|b| same(&row.value, b.get_ref())));
    let inner: std::collections::BTreeSet<&str> = table.tables.iter().map(|inner| inner.name).collect();
    rows && same_tables(&table.tables, read) && read.len() == table.rows.len() + inner.len()
}

fn same_tables(tables: &[Table], read: &DeTable<'_>) -> bool {
    let mut nth = std::collections::BTreeMap::new();
    let each = tables.iter().all(|table| {
        let key = table.name.rsplit('.').next().unwrap();
        let n = nth.entry(key).or_insert(0);
        *n += 1;
        match read.get(key).map(|value| value.get_ref()) {
            Some(DeValue::Array(list)) if table.is_array => {
                list.get(*n - 1).is_some_and(|read| same_table(table, read.get_ref()))
            }
            Some(read) => !table.is_array && same_table(table, read),
            None => false,
        }
    });
    each && nth.iter().all(|(key, n)| match read.get(*key).map(|value| value.get_ref()) {
        Some(DeValue::Array(list)) => list.len() == *n,
        _ => true,
    })
}

/// Prints a document, and reads it back.
#[track_caller]
fn check(document: &Document) -> Printed {
    let printed = document.to_toml();
    assert_eq!(printed.text.lines().count(), printed.places.len(), "a place for each line");
    let read = DeTable::parse(&printed.text).unwrap_or_else(|e| panic!("{e}\n{}", printed.text));
    assert!(same_tables(&document.tables, read.get_ref()), "{document:#?}\n{}", printed.text);
    let mut names: Vec<&str> = document.tables.iter().map(|table| table.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(read.get_ref().len(), names.len(), "nothing more than what was to be said");
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!printed.text.contains(control), "a terminal that shows the file would obey: {:?}", printed.text);
    printed
}

#[test]
fn a_text_as_a_person_would_have_written_it() {
    let mut vrrp = Table::new("vrrp", true, at(3));
    vrrp.comments.push("protocol of virtual routers".to_owned());
    vrrp.put("name", "VI_1", at(3));
    vrrp.put("priority", 100_u32, at(5));
    vrrp.comment("priority", ["the higher wins\nhere".to_owned(), String::new()]);
    vrrp.put("preempt", false, at(6));
    let addresses: Vec<Value> = (1..9).map(|n| Value::Text(format!("192.168.100.{n}/24"))).collect();
    vrrp.put("addresses", addresses, at(7));
    let mut service = Table::new("service", true, at(20));
    let keys = |path: &str, count: usize| {
        let status = (0..count).map(|n| Value::from(format!("{n}00-{n}99"))).collect::<Vec<_>>();
        Value::Keys(vec![("type", "http".into()), ("path", path.into()), ("status", status.into())])
    };
    service.put("check", keys("/a", 12), at(22));
    service.comment("check", ["what it asks".to_owned()]);
    service.put("weight", 7_u32, at(30));
    service.put("notify", Value::Keys(vec![("quorum_up", "/bin/up now".into())]), at(31));
    service.tables.push(Table::new("service.server", true, at(40)));
    let mut server = Table::new("service.server", true, at(50));
    server.put("checks", vec![keys("/b", 12), Value::Keys(vec![("type", "tcp".into())])], at(51));
    service.tables.push(server);
    let document = Document { comments: vec!["of keepalived.conf".to_owned()], tables: vec![vrrp, service] };
    let printed = check(&document);
    let twelve = (0..12).map(|n| format!("\"{n}00-{n}99\"")).collect::<Vec<_>>().join(", ");
    let list: String = (1..9).map(|n| format!("    \"192.168.100.{n}/24\",\n")).collect();
    let status = format!("status = [{twelve}]").replace(", ", ",\n    ");
    let status = status.replace('[', "[\n    ").replace(']', ",\n]");
    let want = format!(
        "# of keepalived.conf\n\n# protocol of virtual routers\n[[vrrp]]\nname = \"VI_1\"\n\
         # the higher wins\n# here\npriority = 100\npreempt = false\naddresses = [\n{list}]\n\n\
         [[service]]\nweight = 7\nnotify = {{ quorum_up = \"/bin/up now\" }}\n\n# what it asks\n\
         [service.check]\ntype = \"http\"\n\
         path = \"/a\"\n{status}\n\n[[service.server]]\n\n[[service.server]]\n\n[[service.server.checks]]\n\
         type = \"http\"\npath = \"/b\"\n{status}\n\n[[service.server.checks]]\ntype = \"tcp\"\n"
    );
    assert_eq!(printed.text, want);
    let place = |line: &str| printed.places[printed.text.lines().position(|l| l == line).unwrap()].line;
    assert_eq!(place("priority = 100"), 5);
    assert_eq!(place("# the higher wins"), 5);
    assert_eq!(place("    \"192.168.100.8/24\","), 7, "a list says where it began");
    assert_eq!(place("[service.check]"), 22);
    assert_eq!(place("[[service.server]]"), 40);
    assert_eq!(place("[[service.server.checks]]"), 51);
}

#[test]
fn short_rows_stay_rows() {
    let mut vrrp = Table::new("vrrp", true, at(1));
    let route = |n: u32| {
        Value::Keys(vec![
            ("to", format!("10.{n}.0.0/16").into()),
            ("via", format!("192.168.234.{n}").into()),
            ("interface", "eth0".into()),
        ])
    };
    vrrp.put("routes", vec![route(1)], at(2));
    vrrp.put("more", (1..4).map(route).collect::<Vec<_>>(), at(3));
    vrrp.put("none", Value::Keys(Vec::new()), at(4));
    let printed = check(&Document { comments: Vec::new(), tables: vec![vrrp] });
    let row =
        |n: u32| format!("{{ to = \"10.{n}.0.0/16\", via = \"192.168.234.{n}\", interface = \"eth0\" }}");
    let want = format!(
        "[[vrrp]]\nroutes = [{}]\nmore = [\n    {},\n    {},\n    {},\n]\nnone = {{}}\n",
        row(1),
        row(1),
        row(2),
        row(3)
    );
    assert_eq!(printed.text, want);
}

#[test]
fn texts_are_quoted_as_they_read_best() {
    for (value, want) in [
        ("plain ü 中", "\"plain ü 中\""),
        ("", "\"\""),
        ("it's", "\"it's\""),
        ("/bin/sh -c \"echo $1\"", "'/bin/sh -c \"echo $1\"'"),
        ("^\\d+$", "'^\\d+$'"),
        ("'\"\\'", "\"'\\\"\\\\'\""),
        ("a\tb\nc\r\u{1b}[2J\u{7f}\u{85}\0", "\"a\\tb\\nc\\r\\u001b[2J\\u007f\\u0085\\u0000\""),
        ("\"\u{1}", "\"\\\"\\u0001\""),
    ] {
        let mut table = Table::new("global", false, at(1));
        table.put("a key.", value, at(1));
        let printed = check(&Document { comments: Vec::new(), tables: vec![table] });
        assert_eq!(printed.text, format!("[global]\n\"a key.\" = {want}\n"));
    }
}

#[test]
fn a_comment_cannot_become_a_row() {
    let mut table = Table::new("global", false, at(1));
    table.comments =
        ["a\nb = 1", "c\r\nd = \u{85} 2", "\u{1b}[2J\u{7f}e\0", "  f\t"].map(str::to_owned).to_vec();
    table.put("x", true, at(2));
    let printed = check(&Document { comments: vec!["\n".to_owned()], tables: vec![table] });
    let want = "#\n\n# a\n# b = 1\n# c\n# d =   2\n# [2J e\n# f\n[global]\nx = true\n";
    assert_eq!(printed.text, want);
}

/// Numbers from a seed (xorshift), for documents that nobody would think of.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 24] = [
            "a",
            "\"",
            "'",
            "\\",
            "\n",
            "\r",
            "\t",
            "#",
            "=",
            "[",
            "]",
            "{",
            "}",
            ",",
            " ",
            "'''",
            "\"\"\"",
            "\0",
            "\u{7f}",
            "\u{85}",
            "ü",
            "接",
            "\u{10ffff}",
            "/usr/bin/check --host 192.168.1.1 -w 5",
        ];
        (0..self.below(9)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    fn value(&mut self, depth: usize) -> Value {
        const KEYS: [&str; 8] = ["type", "path", "a-b", "", "a b", "ü", "x.y", "interval_of_what_takes_long"];
        match self.below(if depth > 2 { 4 } else { 7 }) {
            0 => Value::Number((self.0 as i64) >> self.below(64)),
            1 => Value::Flag(self.below(2) == 0),
            2 | 3 => Value::Text(self.text()),
            4 => Value::List((0..self.below(5)).map(|_| self.value(depth + 1)).collect()),
            // As the value of `checks`.
            5 => Value::List((0..self.below(4)).map(|_| self.keys(depth, &KEYS)).collect()),
            _ => self.keys(depth, &KEYS),
        }
    }

    fn keys(&mut self, depth: usize, known: &[&'static str]) -> Value {
        let (from, count) = (self.below(8), self.below(8));
        let keys = known.iter().cycle().skip(from).take(count);
        Value::Keys(keys.map(|key| (*key, self.value(depth + 1))).collect())
    }

    fn table(&mut self, names: &[(&'static str, bool)]) -> Table {
        const KEYS: [&str; 9] =
            ["name", "address", "a.b", "", "check", "addresses", "ünder", "retry_interval", "checks"];
        let [(name, is_array), inner @ ..] = names else { panic!("no name") };
        let mut table = Table::new(name, *is_array, at(1));
        for _ in 0..self.below(7) {
            let (key, value) = (KEYS[self.below(KEYS.len())], self.value(0));
            table.put(key, value, at(2));
            let comment = self.text();
            table.comment(KEYS[self.below(KEYS.len())], [comment]);
        }
        if !inner.is_empty() {
            let most = if inner[0].1 { 4 } else { 2 };
            table.tables = (0..self.below(most)).map(|_| self.table(inner)).collect();
        }
        table
    }
}

/// What is printed says exactly what was to be said (parse(print(m)) = m).
#[test]
fn random_documents_are_read_back_as_they_were() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut apart, mut lines) = (0, 0);
    for _ in 0..600 {
        let mut tables = Vec::new();
        for names in [
            &[("global", false), ("global.inner", false)][..],
            &[("vrrp", true), ("vrrp.inner", true)],
            &[("service", true), ("service.server", true), ("service.server.inner", false)],
        ] {
            let most = if names[0].1 { 4 } else { 2 };
            tables.extend((0..random.below(most)).map(|_| random.table(names)).collect::<Vec<_>>());
        }
        let comments = (0..random.below(3)).map(|_| random.text()).collect();
        let printed = check(&Document { comments, tables });
        apart += usize::from(printed.text.contains("\n[vrrp.") || printed.text.contains("\n[[vrrp.checks"));
        lines += usize::from(printed.text.contains("\n    "));
    }
    assert!(apart > 20 && lines > 20, "the long ones are tried, too: {apart}, {lines}");
}

#[test]
fn durations_have_the_largest_unit_that_fits() {
    for (micros, want) in [
        (0, "0s"),
        (1, "1us"),
        (1_500, "1500us"),
        (500_000, "500ms"),
        (3_000_000, "3s"),
        (90_000_000, "90s"),
        (600_000_000, "10m"),
        (7_200_000_000, "2h"),
    ] {
        assert_eq!(span(micros), want);
    }
}
