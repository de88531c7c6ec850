// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hands the word "tryboot" of a reboot's argument to the firmware of a Raspberry Pi, which then boots the
 * slot under [tryboot] of autoboot.txt, once. Raspberry Pi's own kernels do that by themselves.
 *
 * "systemctl --reboot-argument='0 tryboot' reboot" is reboot(2) with that text. The kernel gives the text to
 * its reboot notifiers before it stops any device: the mailbox to the firmware still works then.
 *
 * It loads on any machine, so that a list of modules is no failure where there is no such firmware; whether
 * there is one that knows of tryboot is in /sys/module/rtu_bridge_tryboot/parameters/answered.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/notifier.h>
#include <linux/of.h>
#include <linux/reboot.h>
#include <linux/string.h>
#include <soc/bcm2835/raspberrypi-firmware.h>

/* Of Raspberry Pi's header; Linux's has not got them. */
#define GET_REBOOT_FLAGS 0x00030064
#define SET_REBOOT_FLAGS 0x00038064
#define TRYBOOT 0x1

static struct rpi_firmware *firmware;
static bool answered;
module_param(answered, bool, 0444);
MODULE_PARM_DESC(answered, "found out when loading: whether the firmware knows of tryboot");

/* Flags that the firmware does not change are those of a firmware that does not know the question. */
static int reboot_flags(u32 *flags)
{
	int error;

	*flags = ~0;
	error = rpi_firmware_property(firmware, GET_REBOOT_FLAGS, flags, sizeof(*flags));
	if (!error && *flags == ~0U)
		error = -EOPNOTSUPP;
	return error;
}

/* Whether a word comes after the first, which is the number of a partition. */
static bool has_word(const char *text, const char *word)
{
	const char *found = text;
	size_t length = strlen(word);

	while ((found = strstr(found, word))) {
		if (found > text && found[-1] == ' ' && (found[length] == ' ' || found[length] == '\0'))
			return true;
		found += length;
	}
	return false;
}

static int before_reboot(struct notifier_block *block, unsigned long action, void *argument)
{
	u32 flags = TRYBOOT;
	int error;

	if (action != SYS_RESTART || !argument || !has_word(argument, "tryboot"))
		return NOTIFY_DONE;
	error = rpi_firmware_property(firmware, SET_REBOOT_FLAGS, &flags, sizeof(flags));
	if (!error)
		error = reboot_flags(&flags);
	if (!error && !(flags & TRYBOOT))
		error = -EIO;
	if (error)
		pr_err("the firmware did not take it (%d): the default slot boots again\n", error);
	else
		pr_info("the firmware is to try the other slot\n");
	return NOTIFY_DONE;
}

static struct notifier_block block = { .notifier_call = before_reboot };

static int __init start(void)
{
	struct device_node *node = rpi_firmware_find_node();
	u32 flags;
	int error;

	if (!node) {
		pr_info("no firmware of a Raspberry Pi here\n");
		return 0;
	}
	firmware = rpi_firmware_get(node);
	of_node_put(node);
	if (!firmware)
		return -EPROBE_DEFER;
	error = reboot_flags(&flags);
	answered = !error;
	if (error)
		pr_warn("the firmware does not know of tryboot (%d)\n", error);
	error = register_reboot_notifier(&block);
	if (error)
		rpi_firmware_put(firmware);
	return error;
}

static void __exit stop(void)
{
	if (!firmware)
		return;
	unregister_reboot_notifier(&block);
	rpi_firmware_put(firmware);
}

module_init(start);
module_exit(stop);
MODULE_DESCRIPTION("tryboot of Raspberry Pi's firmware for Linux's own kernels");
MODULE_LICENSE("GPL");
