//! What can be held of the packages without Buildroot and OpenWrt: names, versions, hashes and paths agree,
//! the boards' scripts do what they say, and the shipped configurations are valid.
//!
//! Buildroot's own word on the tree (`utils/check-package`, and that BR2_PACKAGE_VIPD survives every
//! defconfig) is had by the commands at the head of `buildroot/readme.txt`.

use crate::device::project;
use crate::netns::vipd_binary;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn read(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The value of `KEY = value`, `KEY:=value` or `KEY="value"` at the beginning of a line.
fn value_of(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(['=', ':']))?;
    Some(line.trim_start_matches('=').trim().trim_matches('"').to_owned())
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(project().join(folder)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn versions_and_hashes_agree() {
    let version = env!("CARGO_PKG_VERSION");
    let buildroot = read("buildroot/package/vipd/vipd.mk");
    assert_eq!(value_of(&buildroot, "VIPD_VERSION").as_deref(), Some(version));
    assert_eq!(value_of(&read("board/openwrt/vipd/Makefile"), "PKG_VERSION").as_deref(), Some(version));
    let hash: String = Sha256::digest(read("LICENSE")).iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!("sha256  {hash}  LICENSE");
    let hashes = read("buildroot/package/vipd/vipd.hash");
    assert!(hashes.lines().any(|l| l == line), "vipd.hash wants: {line}");
    assert_eq!(value_of(&buildroot, "VIPD_LICENSE_FILES").as_deref(), Some("LICENSE"));
}

/// A packager who does without one feature keeps the others.
#[test]
fn every_feature_is_an_option_of_its_own() {
    let cargo = read("Cargo.toml");
    let defaults = value_of(&cargo, "default").unwrap();
    let features: Vec<&str> = defaults.split(['[', ']', '"', ',', ' ']).filter(|f| !f.is_empty()).collect();
    assert!(features.contains(&"https"), "{defaults}");
    let openwrt = read("board/openwrt/vipd/Makefile");
    let (buildroot, options) =
        (read("buildroot/package/vipd/vipd.mk"), read("buildroot/package/vipd/Config.in"));
    let sets = read("board/cross/build");
    let rebuilt = value_of(&openwrt, "PKG_CONFIG_DEPENDS").unwrap();
    for feature in features {
        let symbol = feature.to_uppercase();
        assert!(
            rebuilt.split(' ').any(|word| word == format!("CONFIG_VIPD_{symbol}")),
            "{symbol}: {rebuilt}"
        );
        assert!(openwrt.contains(&format!("config VIPD_{symbol}\n")), "{symbol}");
        assert!(openwrt.contains(&format!("$(if $(CONFIG_VIPD_{symbol}),{feature})")), "{symbol}");
        assert!(options.contains(&format!("config BR2_PACKAGE_VIPD_{symbol}\n")), "{symbol}");
        assert!(buildroot.contains(&format!("$(if $(BR2_PACKAGE_VIPD_{symbol}),{feature})")), "{symbol}");
        assert!(sets.contains(&format!("\n\tno-{feature}) ")), "{feature} can be weighed");
    }
    for text in [&openwrt, &buildroot] {
        assert!(text.contains("--no-default-features"), "none comes by itself");
    }
}

#[test]
fn external_tree_is_whole() {
    assert_eq!(value_of(&read("buildroot/external.desc"), "name").as_deref(), Some("VIPD"));
    let package = "$BR2_EXTERNAL_VIPD_PATH/package/vipd/Config.in";
    assert_eq!(read("buildroot/Config.in").trim(), format!("source \"{package}\""));
    assert!(read("buildroot/external.mk").contains("$(BR2_EXTERNAL_VIPD_PATH)/package/*/*.mk"));
    let make = read("buildroot/package/vipd/vipd.mk");
    for file in ["S60vipd", "vipd.service"] {
        assert!(make.contains(&format!("$(VIPD_PKGDIR)/{file}")), "{file} is installed");
        read(&format!("buildroot/package/vipd/{file}"));
    }
    let options = read("buildroot/package/vipd/Config.in");
    for symbol in words_with(&make, "BR2_PACKAGE_VIPD") {
        assert!(options.contains(&format!("config {symbol}\n")), "{symbol} is no option");
    }
}

/// On a processor for which Buildroot has no Rust the package itself stays: only where its program comes
/// from differs. A dependency of the package would make a defconfig lose it without a word.
#[test]
fn package_is_not_lost_where_there_is_no_rust() {
    let options = read("buildroot/package/vipd/Config.in");
    let (package, rest) = options.split_once("if BR2_PACKAGE_VIPD\n").unwrap();
    let depends: Vec<_> = package.lines().filter(|line| line.contains("depends on")).collect();
    assert_eq!(depends, ["\tdepends on BR2_USE_MMU # fork()"]);
    let entry = |symbol: &str| {
        let (_, entry) = rest.split_once(&format!("config {symbol}\n")).unwrap();
        entry.split("\nconfig").next().unwrap().to_owned()
    };
    assert!(
        entry("BR2_PACKAGE_VIPD_SOURCE").contains("depends on BR2_PACKAGE_HOST_RUSTC_TARGET_ARCH_SUPPORTS")
    );
    assert!(!entry("BR2_PACKAGE_VIPD_BINARY").split("help").next().unwrap().contains("depends on"));
    for processor in ["BR2_mipsel", "BR2_mips", "BR2_aarch64", "BR2_x86_64", "BR2_RISCV_64"] {
        let line = format!("if {processor}\n");
        assert!(entry("BR2_PACKAGE_VIPD_BINARY_PATH").contains(&line), "{processor} has a binary");
    }
}

#[test]
fn defconfigs_name_what_is_there() {
    let defconfigs = files("buildroot/configs");
    assert_eq!(defconfigs.len(), 4);
    for path in defconfigs {
        let (text, name) = (std::fs::read_to_string(&path).unwrap(), name(&path));
        for line in
            ["BR2_PACKAGE_VIPD=y", "BR2_DOWNLOAD_FORCE_CHECK_HASHES=y", "BR2_TARGET_ROOTFS_SQUASHFS=y"]
        {
            assert!(text.lines().any(|l| l == line), "{name}: {line}");
        }
        // With musl the option of a package that needs Rust hides unless there is a C++ compiler.
        assert!(text.contains("BR2_TOOLCHAIN_BUILDROOT_CXX=y"), "{name}");
        let own = text
            .lines()
            .filter_map(|line| line.split_once("$(BR2_EXTERNAL_VIPD_PATH)/..")?.1.strip_suffix('"'));
        let own: Vec<_> = own.collect();
        assert_eq!(own.len(), 5, "{name}: overlay, two scripts, two fragments");
        for file in own {
            assert!(project().join(file.trim_start_matches('/')).exists(), "{name}: {file}");
        }
        assert_eq!(qemu_lines(&name).len(), 1, "{name} has one line in a readme.txt");
    }
}

/// The lines that start QEMU, by the defconfig at their end.
fn qemu_lines(defconfig: &str) -> Vec<String> {
    let boards = files("board/qemu").into_iter().map(|board| board.join("readme.txt")).filter(|r| r.exists());
    let text: String = boards.map(|readme| std::fs::read_to_string(readme).unwrap()).collect();
    let end = format!(" # {defconfig}");
    let lines = text.lines().filter_map(|line| line.strip_suffix(&end));
    lines.map(str::to_owned).filter(|line| line.starts_with("qemu-system-")).collect()
}

/// Words that begin so, of letters, digits and underscores.
fn words_with(text: &str, prefix: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with(prefix)).map(str::to_owned).collect()
}

#[test]
fn boards_kernel_has_all_that_the_package_wants() {
    let fragment = read("board/qemu/linux.fragment");
    for option in words_with(&read("buildroot/package/vipd/vipd.mk"), "CONFIG_") {
        // Switched on by others of the list, or on in every kernel that has it.
        let implied = ["CONFIG_NETDEVICES"].contains(&option.as_str());
        assert!(implied || fragment.lines().any(|l| l == format!("{option}=y")), "{option}");
    }
}

/// An empty folder for a script of a board.
fn stage(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("vipd-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    for inner in ["target/usr/sbin", "target/etc/init.d", "images", "host"] {
        std::fs::create_dir_all(folder.join(inner)).unwrap();
    }
    folder
}

fn script(stage: &Path, script: &str, defconfig: &str) -> std::process::Output {
    let mut command = Command::new(project().join("board/qemu").join(script));
    command.arg(stage.join("target")).arg(format!("/somewhere/{defconfig}"));
    command.env("TARGET_DIR", stage.join("target")).env("BINARIES_DIR", stage.join("images"));
    command.env("HOST_DIR", stage.join("host")).output().unwrap()
}

#[test]
fn images_without_the_daemon_are_refused() {
    let stage = stage("post-build");
    let run = || script(&stage, "post-build.sh", "vipd_qemu_mipsel_defconfig");
    let copy =
        |from: &str, to: &str| std::fs::copy(project().join(from), stage.join("target").join(to)).unwrap();
    copy("board/qemu/overlay/etc/inittab", "etc/inittab");
    copy("board/qemu/overlay/etc/vipd.toml", "etc/vipd.toml");
    let output = run();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && words.contains("vipd is not in the image"), "{words}");
    // Some executables.
    copy("board/qemu/post-build.sh", "usr/sbin/vipd");
    copy("board/qemu/post-build.sh", "etc/init.d/S60vipd");
    let output = run();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(stage.join("target/etc/inittab"), "::sysinit:/etc/init.d/rcS\n").unwrap();
    assert!(!run().status.success(), "an image without its console");
    std::fs::remove_dir_all(stage).unwrap();
}

#[test]
fn images_come_with_the_line_that_starts_them() {
    let stage = stage("post-image");
    std::fs::write(stage.join("target/usr/sbin/vipd"), "x").unwrap();
    for path in files("buildroot/configs") {
        let name = name(&path);
        let image = stage.join("images/rootfs.squashfs");
        std::fs::write(&image, vec![0; 1_500_000]).unwrap();
        let output = script(&stage, "post-image.sh", &name);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let line = qemu_lines(&name).remove(0);
        let start = std::fs::read_to_string(stage.join("images/start-qemu.sh")).unwrap();
        let wanted = line.replace("output/images/", "");
        assert!(start.contains(&format!("exec {wanted}")), "{name}: {start}");
        let is_card = line.contains("if=sd");
        let bytes = std::fs::metadata(&image).unwrap().len();
        assert_eq!(bytes, if is_card { 2 << 20 } else { 1_500_000 }, "{name}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("image: 1500000 bytes"),
            "as it goes to flash"
        );
    }
    assert!(!script(&stage, "post-image.sh", "other_defconfig").status.success());
    std::fs::remove_dir_all(stage).unwrap();
}

#[test]
fn shipped_configurations_are_valid() {
    for file in ["board/qemu/overlay/etc/vipd.toml", "board/openwrt/vipd/files/etc/vipd.toml"] {
        let output =
            Command::new(vipd_binary()).arg("check").arg("--config").arg(project().join(file)).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn openwrt_package_is_whole() {
    use std::os::unix::fs::PermissionsExt;
    let make = read("board/openwrt/vipd/Makefile");
    let conffiles =
        make.split("define Package/vipd/conffiles\n").nth(1).unwrap().split("\nendef").next().unwrap();
    let kept = read("board/openwrt/vipd/files/lib/upgrade/keep.d/vipd");
    for file in conffiles.lines() {
        read(&format!("board/openwrt/vipd/files{file}"));
    }
    assert!(
        kept.lines().any(|line| line == "/etc/vipd.toml"),
        "survives sysupgrade also where it is unchanged"
    );
    let init = read("board/openwrt/vipd/files/etc/init.d/vipd");
    for line in ["START=70", "STOP=01", "USE_PROCD=1"] {
        assert!(init.lines().any(|l| l == line), "{line}");
    }
    let executables =
        ["etc/init.d/vipd", "usr/libexec/rpcd/vipd", "usr/libexec/vipd/hotplug", "usr/libexec/vipd/from-uci"];
    for file in executables {
        let path = project().join("board/openwrt/vipd/files").join(file);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{file} is copied as it is");
    }
    let toggle = read("board/openwrt/vipd/files/etc/config/vipd");
    assert_eq!(toggle.lines().filter(|line| line.contains("option")).count(), 2);
    assert!(toggle.contains("option enabled '0'"), "nobody's network changes by an installation");
}
