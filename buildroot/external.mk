include $(sort $(wildcard $(BR2_EXTERNAL_VIPD_PATH)/package/*/*.mk))
