//! The language of keepalived.conf, rule by rule (comments, quotes, braces, conditions, definitions,
//! repetitions, includes), and what is told where a file breaks it.

#![cfg(feature = "import")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

#[path = "import/memory.rs"]
#[allow(dead_code, reason = "others use the rest of it")]
mod memory;

use memory::Memory;
use vipd::config::keepalived::{Finding, Kind, Options, count_pieces, looks_like_keepalived, outline};

const OPTIONS: Options<'static> = Options { config_id: "main" };

/// Statements of a text that stands in /etc/k/main.conf, and what is told of it: `line:column kind`.
fn read(text: &str) -> (String, String) {
    read_files(&[("/etc/k/main.conf", text)])
}

fn read_files(files: &[(&str, &str)]) -> (String, String) {
    let mut memory = Memory::new(files);
    let (text, findings) = outline("/etc/k/main.conf", &mut memory, OPTIONS);
    (text, told(&findings))
}

/// That no known block is in most of these texts is not what they are about.
fn told(findings: &[Finding]) -> String {
    let one = |finding: &Finding| {
        let found = &finding.diagnostic;
        format!("{}:{} {:?}", found.line, found.column, finding.kind)
    };
    let placed = findings.iter().filter(|finding| finding.diagnostic.line > 0);
    placed.map(one).collect::<Vec<_>>().join(", ")
}

fn statements(text: &str) -> String {
    let (text, told) = read(text);
    assert_eq!(told, "", "nothing to tell of {text}");
    text
}

#[test]
fn comments_begin_at_either_sign_and_end_with_the_line() {
    assert_eq!(statements("a b # c {\nd ! e }\n#x\n!y\n  f"), "a b; d; f");
    assert_eq!(statements("a \"b # ! c\" d"), "a b # ! c d", "not within quotes");
    assert_eq!(statements(r"a \# \! b#c"), "a # ! b", "unless escaped");
}

#[test]
fn slashes_begin_a_comment_only_where_they_can_be_nothing_else() {
    let (text, told) = read("a / //b {\n// c\nd {// e\n}");
    assert_eq!((text.as_str(), told.as_str()), ("a /; d {}", "1:5 Corrected"), "once, with all lines");
    assert_eq!(read("a {\nb // c\nd // e\n}").1, "2:3 Corrected, 2:3 Corrected, 3:3 Corrected", "more words");
    assert_eq!(statements("a http://b//c\nnotify \"x //y\"\nmisc_path //host/x"), {
        "a http://b//c; notify x //y; misc_path //host/x"
    });
}

#[test]
fn quotes_make_one_word_and_split_others() {
    assert_eq!(statements("a\"b c\"d e"), "a b c d e");
    assert_eq!(statements("a 'b c'"), "a 'b c'", "only the double quote");
    let (text, told) = read("a \"b c\nd");
    assert_eq!((text.as_str(), told.as_str()), ("a b c; d", "1:3 Invalid"), "to the end of the line");
    assert_eq!(statements(r#"a "b \"{ ~c\" d""#), r"a b \ { ~c\  d", "a command's own do not end it");
}

#[test]
fn braces_stand_for_themselves_anywhere() {
    assert_eq!(statements("a { b { c } d }e{f\n}\ng\n{\nh\n}"), "a {b {c}; d}; e {f}; g {h}");
    assert_eq!(statements("a \"{\""), "a {", "not within quotes");
    assert_eq!(statements("a { @main b\n}\na { $X=1\n$X }\na { ~SEQ(i,2) b $i\n}"), {
        "a {b}; a {1}; a {b 1; b 2}"
    });
    assert_eq!(statements("a \"x \\\"{\\\" y\"").matches('{').count(), 1, "a command's quotes");
}

#[test]
fn odd_bytes_hurt_nobody() {
    assert_eq!(statements("a\tb\r\n\r\nc \r\n"), "a b; c");
    assert_eq!(statements("a # \u{4e2d}\u{6587}"), "a");
    assert_eq!(read("\u{feff}a b"), ("a b".to_owned(), "1:1 Corrected".to_owned()), "byte order mark");
    assert_eq!(read("a\u{a0}b \u{201c}c d\u{201d} e"), {
        ("a b c d e".to_owned(), "1:2 Corrected, 1:5 Corrected".to_owned())
    });
    let mut memory = Memory::of_bytes("k", b"a # \xff\xfe\nb \xff\nc\0d\ne");
    let (text, findings) = outline("k", &mut memory, OPTIONS);
    assert_eq!((text.as_str(), told(&findings).as_str()), ("a; b \u{fffd}; e", "2:3 Invalid, 3:1 Invalid"));
}

#[test]
fn a_line_of_more_than_keepalived_reads_is_taken_and_told() {
    let long = format!("a {}\nb", "x".repeat(1021));
    assert_eq!(read(&long).1, "1:1 Changed");
    assert_eq!(read(&long[1..]).1, "", "1022 bytes are read by both");
    let longer = format!("a {}\nb", "x".repeat(9000));
    assert_eq!(read(&longer), ("b".to_owned(), "1:1 Invalid".to_owned()));
}

#[test]
fn conditions_keep_the_lines_of_this_router() {
    let (text, told) = read("@main a 1\n@other a 2\n@^main b 1\n@^other b 2\n  @main   c");
    assert_eq!(text, "a 1; b 2; c");
    assert_eq!(told, "2:1 Ignored, 3:1 Ignored", "once for each id");
    assert_eq!(read("@main").1, "1:1 Invalid", "nothing behind it");
    assert_eq!(read("@main $X=1\na $X").0, "a 1");
    assert_eq!(read("@other a {\nb\n@other }").0, "b", "head and end alone");
    assert_eq!(read("$C=@main x\n$C").0, "x", "out of a definition");
}

#[test]
fn definitions_are_replaced_late_and_again_and_again() {
    assert_eq!(statements("$X=hello  world   \na $X ${X}y $X,$X)$X"), {
        "a hello world hello worldy hello world,hello world)hello world"
    });
    assert_eq!(statements("$A=$B\n$B=late\na $A"), "a late", "late");
    assert_eq!(statements("$A=1\na $A\n$A=2\na $A"), "a 1; a 2", "redefined");
    assert_eq!(statements("$E=\na x${E}y $E z"), "a xy z", "empty");
    assert_eq!(statements("$Z=\"a # b\"\na ${Z}"), "a a # b", "quotes go along");
    assert_eq!(statements("$Y=one ! two\na $Y"), "a one", "comments do not");
    assert_eq!(statements("$B=b { c }\na\n$B"), "a; b {c}", "and braces do");
    assert_eq!(read("$X=1\na $X.2 $Xy"), ("a $X.2 $Xy".to_owned(), "2:3 Invalid".to_owned()));
    assert_eq!(read("a ${NO} b"), ("a ${NO} b".to_owned(), "1:3 Changed".to_owned()), "undefined");
    assert_eq!(statements("a $NO b"), "a $NO b", "may be meant so");
    assert_eq!(read("$X =1\na $X"), ("a 1".to_owned(), "1:1 Corrected".to_owned()));
}

#[test]
fn definitions_of_several_lines_are_read_as_lines() {
    let long = "$M= \\\nm1 { \\\n# comment \\\n\n";
    assert_eq!(statements(&format!("{long}$M\n}}")), "m1 {}", "an empty line ends it");
    let vs = "$VS= \\\nvs ${H} { \\\n  ~SEQ(i,1,$N) $RS \\\n} \n$RS= \\\nrs $i { \\\n\
              w 1 \\\n}\n$N=2\n$H=a\n$VS\n$H=b\n$VS";
    assert_eq!(
        statements(vs),
        "vs a {rs 1 {w 1}; rs 2 {w 1}}; vs b {rs 1 {w 1}; rs 2 {w 1}}",
        "definitions within repetitions within definitions"
    );
    assert_eq!(statements("$M=x \\\n  y \\\n  z\na $M\nb"), "a x; y; z; b", "a text before it");
    assert_eq!(read("$M=x \\\ny\n$M b").1, "3:1 Invalid", "not at the end of the line");
    assert_eq!(read("a b \\\nc"), ("a b; c".to_owned(), "1:3 Changed".to_owned()), "no definition");
    assert_eq!(statements("$M=x \\\n$N=5 \\\ny $N\n$M"), "x; y 5", "a definition within one");
    assert_eq!(statements("$M= \\\n$N=5 \\\ny $N\n$M"), "y 5", "as its first line");
}

/// All seen of keepalived 2.2.7, with the statements that it dumps: before, what came behind was lost.
#[test]
fn definitions_of_several_lines_begin_and_end_as_keepalived_has_them() {
    let both = "$A= \\\na1 \\\na2\n$B= \\\nb1 \\\nb2\n$C= \\\n$A \\\n$B\n";
    assert_eq!(statements(&format!("{both}$C")), "a1; a2; b1; b2", "one that begins with another");
    assert_eq!(statements(&format!("{both}~SEQ(i,2) $C")), "a1; a2; b1; b2; a1; a2; b1; b2");
    assert_eq!(statements("$A= \\\na1 # one \\\na2 ! two\\\na3\n$A"), "a1; a2; a3", "`\\` behind a comment");
    let (text, told) = read("$A= \\\na1 \\\n# alone\n$B=2\n$A\nb $B");
    assert_eq!((text.as_str(), told.as_str()), ("a1; b 2", "3:1 Changed"), "a comment alone ends it");
    assert_eq!(statements("$A= \\\na1 \\\n  \n$B=2\n$A\nb $B"), "a1; b 2", "blanks alone end it");
}

#[test]
fn standard_names_are_known() {
    assert_eq!(statements("a ${_PWD}/x"), "a /etc/k/x");
    // Seen of keepalived 2.2.7: they switch lines off, and are no letters.
    let off = "$C=${_HASH}\na ${_HASH} b\n$C c\n${C}d\n${_BANG} e\na \"${_HASH}\"";
    assert_eq!(statements(off), "a; a #", "but within quotes");
    // keepalived takes the `\\` off before it replaces, and cuts there: read as it was meant.
    assert_eq!(statements("$C=${_HASH}\na b \\# $C"), "a b #");
    let shell = "n \"sh -c \\\"[ ! -e $F ] || x\\\"\"";
    let words = statements(shell);
    assert!(words.ends_with("! -e $F ] || x\\ "), "nothing is replaced, and nothing cut off: {words}");
    assert_eq!(statements(&format!("$F=/f\n{shell}")), words.replace("$F", "/f"), "`\\\"` ends no quote");
    assert_eq!(read("a ${_ENV IF}"), ("a eth7".to_owned(), "1:3 Changed".to_owned()));
    assert_eq!(read("a ${_RANDOM 1 255} ${_RANDOM 5 5}"), {
        ("a 151 5".to_owned(), "1:3 Changed, 1:20 Changed".to_owned())
    });
    assert_eq!(read("a ${_RANDOM} b${_INSTANCE}").0, "a 16965 b");
    assert_eq!(statements("$_PWD=mine\na $_PWD"), "a mine");
    let mut memory = Memory::new(&[("x.conf", "a ${_PWD}")]);
    assert_eq!(outline("x.conf", &mut memory, OPTIONS).0, "a /here", "as commands need it");
}

#[test]
fn sequences_count() {
    assert_eq!(statements("~SEQ(i,3) a $i"), "a 1; a 2; a 3");
    assert_eq!(statements("~SEQ(i, 4 , 6 ) a ${i}x"), "a 4x; a 5x; a 6x");
    assert_eq!(statements("~SEQ(i,10,-4,1) a $i"), "a 10; a 6; a 2");
    assert_eq!(statements("~SEQx(i,8,10,0x1c) a $i"), "a 8; a 12; a 1c");
    assert_eq!(statements("~SEQ(i,5,3) a $i"), "a 5; a 4; a 3");
    assert_eq!(statements("~SEQ(i,-2) a $i"), "a -1; a -2");
    assert_eq!(statements("~SEQ(i,2) ~SEQ(j,$i,2) a $i $j"), "a 1 1; a 1 2; a 2 2");
    assert_eq!(statements("$Q=~SEQ(i,2)\n$Q a $i"), "a 1; a 2");
    assert_eq!(statements("a ~SEQ(i,2) b"), "a ~SEQ(i,2) b", "only at the start");
    for wrong in ["~SEQ(i)", "~SEQ(i,1,0,5)", "~SEQ(i,1,-1,5)", "~SEQ(i,1,x)", "~SEQx(i,-3)", "~SEQ i"] {
        assert_eq!(read(&format!("{wrong} a")), (String::new(), "1:1 Invalid".to_owned()), "{wrong}");
    }
}

#[test]
fn lists_are_gone_through() {
    assert_eq!(statements("~LST(v,a,b , c) l $v"), "l a; l b; l c");
    assert_eq!(statements("~LST({a,b},{1,2},{3,4},{5}) l ${a}-$b"), "l 1-2; l 3-4; l 5-");
    for wrong in ["~LST(v)", "~LST(v,{1,2})", "~LST({a,b,1)", "~LST(v,a b)", "~LST"] {
        assert_eq!(read(&format!("{wrong} a")), (String::new(), "1:1 Invalid".to_owned()), "{wrong}");
    }
}

#[test]
fn nothing_is_without_end() {
    let begin = std::time::Instant::now();
    assert_eq!(read("~SEQ(i,1,1000000000) a $i\nb"), ("b".to_owned(), "1:1 Invalid".to_owned()));
    assert_eq!(read("$R=$R\na $R").1, "2:3 Invalid");
    assert_eq!(read("$R=x${R}${R}\na $R").1, "2:3 Invalid");
    assert!(read("$M=a \\\n$M\n$M").1.ends_with("Invalid"));
    assert!(read("~SEQ(i,60000) ~SEQ(j,60000) $E").1.ends_with("Invalid"));
    let deep = "{".repeat(1 << 20);
    assert!(read(&deep).1.len() > 10);
    let long = "a{".repeat(1 << 19);
    assert!(read(&long).1.len() > 10);
    let lines = "a {\n".repeat(1 << 18);
    assert!(read(&lines).1.len() > 10);
    assert!(read(&"}\n".repeat(1 << 18)).1.len() > 10);
    // Found by the fuzzer: blocks whose brace is missing went into one another until the stack was full.
    assert!(read(&"SSL\n".repeat(1 << 17)).1.len() > 10);
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}

/// Found by the fuzzer: two places in which a definition named itself made 60,000 lines of 20.
#[test]
fn a_definition_that_contains_itself_is_told_where_it_does() {
    let (text, told) = read("$A= \\\na \\\n$A \\\nb \\\n$A \\\nc\n$A\nd");
    assert_eq!((text.as_str(), told.as_str()), ("a; b; c; d", "7:1 Invalid, 7:1 Invalid"));
    let (text, told) = read("$A= \\\na \\\n$B\n$B= \\\nb \\\n$A\n$A\n$B");
    assert_eq!((text.as_str(), told.as_str()), ("a; b; b; a", "7:1 Invalid, 8:1 Invalid"), "by a detour");
}

#[test]
fn includes_bring_files_in_their_order() {
    let files = [
        ("/etc/k/main.conf", "a\ninclude conf.d/*.conf\nz"),
        ("/etc/k/conf.d/2.conf", "two { include ../x/y.inc\n}"),
        ("/etc/k/conf.d/1.conf", "one ${_PWD}"),
        ("/etc/k/conf.d/.3.conf", "hidden"),
        ("/etc/k/conf.d/4.conf*", "executable"),
        ("/etc/k/conf.d/5.txt", "other"),
        ("/etc/k/conf.d/../x/y.inc", "inner"),
    ];
    let expected = "a; one /etc/k/conf.d; two {inner}; z";
    assert_eq!(
        read_files(&files),
        (expected.to_owned(), "2:1 Changed".to_owned()),
        "and the executable told"
    );
    let files = [("/etc/k/main.conf", "include {b,a,no*}.inc"), ("/etc/k/a.inc", "a"), ("/etc/k/b.inc", "b")];
    assert_eq!(
        read_files(&files),
        ("b; a".to_owned(), "1:1 Changed".to_owned()),
        "alternatives in their order"
    );
    let files = [
        ("/etc/k/main.conf", "$D=/o\n@main include ${D}/[a-b]?[^x].c\n"),
        ("/o/aoy.c", "1"),
        ("/o/box.c", "2"),
    ];
    assert_eq!(read_files(&files), ("1".to_owned(), String::new()));
    let files = [("/etc/k/main.conf", "include \"a.inc\""), ("/etc/k/a.inc", "a")];
    assert_eq!(read_files(&files), ("a".to_owned(), "1:1 Corrected".to_owned()));
}

#[test]
fn what_cannot_be_included_is_told() {
    for (line, kind) in [
        ("include no.conf", "1:1 Changed"),
        ("include no*", "1:1 Changed"),
        ("includew no*", "1:1 Invalid"),
        ("includea no*", "1:1 Invalid"),
        ("includer no.conf", "1:1 Invalid"),
        ("includem no.conf", "1:1 Invalid"),
        ("includeb {no}*", "1:1 Invalid"),
    ] {
        assert_eq!(read(line).1, kind, "{line}");
    }
    assert_eq!(read("includex y").0, "includex y", "no such variant");
    assert_eq!(read("include main.conf").1, "1:1 Invalid", "itself");
    let files: Vec<(String, String)> =
        (0..40).map(|n| (format!("/etc/k/{n}"), format!("include {}", n + 1))).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    files.push(("/etc/k/main.conf", "include 0"));
    assert_eq!(read_files(&files).1, "1:1 Invalid", "a chain");
    let mut memory = Memory::new(&[("/m", &"include a\n".repeat(9000)), ("/a", "x")]);
    let (_, findings) = outline("/m", &mut memory, OPTIONS);
    assert!(memory.reads < 600 && findings.len() > 100, "{} reads", memory.reads);
}

/// A file that includes others alone is one of keepalived's. Other programs have such a line, too: their
/// files became a TOML of nothing.
#[test]
fn files_of_other_programs_are_refused() {
    let is_read = |text: &str| {
        let mut memory = Memory::new(&[("/m", text), ("/etc/mime.types", "text/html html;")]);
        let options = Options { config_id: "x" };
        vipd::config::keepalived::import("/m", &mut memory, options).config.is_some()
    };
    assert!(is_read("include conf.d/*.conf\n# nothing else\n"));
    assert!(!is_read("http {\n include conf.d/*.conf\n}\n"));
    assert!(!is_read("worker_processes 2;\ninclude conf.d/*.conf\n"));
}

#[test]
fn missing_braces_lose_one_block_at_most() {
    let text = "vrrp_instance A {\n virtual_ipaddress {\n 10.0.0.1\n\nvrrp_instance B {\n priority 5\n}\n";
    assert_eq!(read(text), {
        let expected = "vrrp_instance A {virtual_ipaddress {10.0.0.1}}; vrrp_instance B {priority 5}";
        (expected.to_owned(), "1:1 Invalid, 2:2 Invalid".to_owned())
    });
    assert_eq!(read("a {\nb").1, "1:1 Invalid", "at the end");
    assert_eq!(read("a {\n}\n}\nb"), ("a {}; b".to_owned(), "3:1 Invalid".to_owned()));
    assert_eq!(read("a { { b } c }"), ("a {b; c}".to_owned(), "1:5 Invalid".to_owned()));
    assert_eq!(read("vrrp_instance A\n priority 5\n}\nb"), {
        ("vrrp_instance A {priority 5}; b".to_owned(), "1:1 Invalid".to_owned())
    });
}

#[test]
fn blanks_within_keywords_are_put_right() {
    assert_eq!(read("global_defs {\n vrrp _mcast_group4 234.10.10.10\n}"), {
        ("global_defs {vrrp_mcast_group4 234.10.10.10}".to_owned(), "2:2 Corrected".to_owned())
    });
}

#[test]
fn gaps_of_templates_are_told_where_they_are() {
    assert_eq!(read("vrrp_instance A {\n interface {{ iface }}\n priority @PRIO@\n}"), {
        let expected = "vrrp_instance A {interface {{ iface }}; priority @PRIO@}";
        (expected.to_owned(), "2:12 Invalid, 3:11 Invalid".to_owned())
    });
}

#[test]
fn what_is_no_keepalived_conf_is_said_to_be_none() {
    let why = |text: &[u8]| {
        let (_, findings) = outline("k", &mut Memory::of_bytes("k", text), OPTIONS);
        let whole = findings.into_iter().find(|finding| finding.diagnostic.line == 0).expect("told");
        assert_eq!(whole.kind, Kind::Invalid);
        whole.diagnostic.what
    };
    assert!(why(b"").contains("empty"));
    assert!(why(b"\x7fELF\x01\x02").contains("binary"));
    assert!(why(b"a\0b").contains("binary"));
    assert!(why(b"#!/bin/sh\nexit 0\n").contains("script"));
    assert!(why(b"<!DOCTYPE html>\n<html>").contains("HTML"));
    assert!(why(b"[vrrp]\nx = 1\n").contains("TOML"));
    assert!(why(b"# only\n").contains("comments"));
    assert!(why(b"@other vrrp_instance A {\n@other }\n").contains("`main`"));
    assert!(why(b"Dear all,\nthis is prose\n").contains("no block"));
    let (_, findings) = outline("nowhere", &mut Memory::default(), OPTIONS);
    assert!(findings[0].diagnostic.what.contains("no such file"));
}

#[test]
fn the_content_says_which_format_it_is() {
    for ours in [
        "! x\nvrrp_instance A {\n}\n",
        "\u{feff}global_defs\n{\nrouter_id x\n}",
        "include conf.d/*.conf\n",
        "$X=1\nvrrp_script x {\n interval $X\n}\n",
        "@main virtual_server 1.2.3.4 80 {\n",
    ] {
        assert!(looks_like_keepalived(ours.as_bytes()), "{ours}");
    }
    for toml in ["", "# x\n", "[global]\nrouter_name = \"a\"\n", "[[vrrp]]\nname=\"x\"\n", "x = 1", "\0\u{1}"]
    {
        assert!(!looks_like_keepalived(toml.as_bytes()), "{toml}");
    }
    for file in ["s1-router-27", "s2-router-27", "gateway", "load-balancer"] {
        let path = format!("{}/configs/{file}.toml", env!("CARGO_MANIFEST_DIR"));
        assert!(!looks_like_keepalived(&std::fs::read(path).unwrap()), "{file}");
    }
    assert_eq!(count_pieces(b"a {b \"c d\"} # e\nf"), 6);
}
