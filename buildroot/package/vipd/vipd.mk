################################################################################
#
# vipd
#
################################################################################

VIPD_VERSION = 0.3.0
VIPD_SITE = $(realpath $(BR2_EXTERNAL_VIPD_PATH)/..)
VIPD_SITE_METHOD = local
VIPD_LICENSE = MIT or Apache-2.0
VIPD_LICENSE_FILES = LICENSE
VIPD_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude=/target

define VIPD_LINUX_CONFIG_FIXUPS
	$(call KCONFIG_ENABLE_OPT,CONFIG_PACKET)
	$(call KCONFIG_ENABLE_OPT,CONFIG_UNIX)
	$(call KCONFIG_ENABLE_OPT,CONFIG_INET)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_MULTICAST)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_ADVANCED_ROUTER)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_MULTIPLE_TABLES)
	$(call KCONFIG_ENABLE_OPT,CONFIG_EPOLL)
	$(call KCONFIG_ENABLE_OPT,CONFIG_SIGNALFD)
	$(call KCONFIG_ENABLE_OPT,CONFIG_INOTIFY_USER)
	$(call KCONFIG_ENABLE_OPT,CONFIG_SECCOMP)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NET_NS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_CONNECTOR)
	$(call KCONFIG_ENABLE_OPT,CONFIG_PROC_EVENTS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NETDEVICES)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NET_CORE)
	$(call KCONFIG_ENABLE_OPT,CONFIG_MACVLAN)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NETFILTER)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NETFILTER_ADVANCED)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NF_CONNTRACK)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_VS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_VS_NFCT)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_VS_PROTO_TCP)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_VS_PROTO_UDP)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_VS_RR)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_VS_WRR)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_VS_LC)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_VS_WLC)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_VS_SH)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IP_VS_MH)
endef

ifeq ($(BR2_PACKAGE_VIPD_SOURCE),y)

VIPD_VENDOR = $(VIPD_SITE)/target/vendor

define VIPD_CHECK_VENDOR
	@test -d $(VIPD_VENDOR) || { \
		echo "vipd: no $(VIPD_VENDOR): run board/vendor in $(VIPD_SITE) first" >&2; \
		exit 1; \
	}
endef
VIPD_PRE_CONFIGURE_HOOKS += VIPD_CHECK_VENDOR

# Those of Cargo.toml that are wanted: none of them comes by itself.
VIPD_FEATURES = \
	$(if $(BR2_PACKAGE_VIPD_HTTPS),https) \
	$(if $(BR2_PACKAGE_VIPD_IMPORT),import) \
	$(if $(BR2_PACKAGE_VIPD_MAIL),mail)

# Buildroot's own choice is 16 units, no link-time optimisation and "s".
VIPD_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_OPT_LEVEL="z" \
	CARGO_PROFILE_RELEASE_LTO="true" \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS="1" \
	CARGO_PROFILE_RELEASE_PANIC="abort"

# Sources that are there already are not vendored by Buildroot.
VIPD_CARGO_BUILD_OPTS = \
	--bin vipd \
	--config 'source.crates-io.replace-with="vendored"' \
	--config 'source.vendored.directory="$(VIPD_VENDOR)"' \
	--no-default-features \
	--features '$(VIPD_FEATURES)'

VIPD_PROGRAM = $(@D)/target/$(RUSTC_TARGET_NAME)/$(if $(BR2_ENABLE_DEBUG),debug,release)/vipd

else

VIPD_PROGRAM = $(call qstrip,$(BR2_PACKAGE_VIPD_BINARY_PATH))

define VIPD_CONFIGURE_CMDS
	@test -f "$(VIPD_PROGRAM)" || { \
		echo "vipd: no $(VIPD_PROGRAM): run board/cross/build in $(VIPD_SITE) first" >&2; \
		exit 1; \
	}
endef

endif

# Administrators look for it in sbin; cargo installs to bin.
define VIPD_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(VIPD_PROGRAM) $(TARGET_DIR)/usr/sbin/vipd
endef

define VIPD_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(VIPD_PKGDIR)/S60vipd \
		$(TARGET_DIR)/etc/init.d/S60vipd
endef

define VIPD_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(VIPD_PKGDIR)/vipd.service \
		$(TARGET_DIR)/usr/lib/systemd/system/vipd.service
endef

ifeq ($(BR2_PACKAGE_VIPD_SOURCE),y)
$(eval $(cargo-package))
else
$(eval $(generic-package))
endif
