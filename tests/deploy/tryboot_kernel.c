/* As much of a kernel and a firmware as rtu_bridge_tryboot.c sees. FIRMWARE: "none", "old" or "new".
 *
 * ./program FIRMWARE ACTION TEXT   loads the module, reboots, unloads it; prints what was found and asked. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint32_t u32;
enum { NOTIFY_DONE = 0, SYS_RESTART = 1, EIO = 5, EINVAL = 22, EOPNOTSUPP = 95, EPROBE_DEFER = 517 };
struct device_node { int references; };
struct rpi_firmware { int references; };
struct notifier_block {
	int (*notifier_call)(struct notifier_block *, unsigned long, void *);
};
#define KBUILD_MODNAME "rtu_bridge_tryboot"
#define __init
#define __exit
#define module_param(name, type, mode)
#define module_init(name)
#define module_exit(name)
#define MODULE_PARM_DESC(name, text)
#define MODULE_DESCRIPTION(text)
#define MODULE_LICENSE(text)
#define pr_info(fmt, ...) printf(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn pr_info
#define pr_err pr_info

static const char *kind;
static struct device_node node;
static struct rpi_firmware held;
static struct notifier_block *registered;
static u32 firmware_flags;

static struct device_node *rpi_firmware_find_node(void)
{
	if (!strcmp(kind, "none"))
		return NULL;
	node.references++;
	return &node;
}

static void of_node_put(struct device_node *put) { put->references--; }

static struct rpi_firmware *rpi_firmware_get(struct device_node *of)
{
	held.references++;
	return of ? &held : NULL;
}

static void rpi_firmware_put(struct rpi_firmware *put) { put->references--; }

static int rpi_firmware_property(struct rpi_firmware *to, u32 tag, void *data, size_t size)
{
	if (size != 4 || to != &held)
		return -EINVAL;
	printf("tag %08x\n", tag);
	/* What it does not know an old one answers with nothing, or with an error. */
	if (!strcmp(kind, "old"))
		return 0;
	if (!strcmp(kind, "refusing"))
		return -EINVAL;
	if (tag == 0x00038064)
		memcpy(&firmware_flags, data, 4);
	else if (tag == 0x00030064)
		memcpy(data, &firmware_flags, 4);
	return 0;
}

static int register_reboot_notifier(struct notifier_block *block) { registered = block; return 0; }
static int unregister_reboot_notifier(struct notifier_block *block)
{
	registered = NULL;
	return block ? 0 : -EINVAL;
}

#include MODULE

int main(int count, char **words)
{
	int error;

	if (count < 3)
		return 2;
	kind = words[1];
	error = start();
	printf("loaded %d answered %c\n", error, answered ? 'Y' : 'N');
	if (registered)
		registered->notifier_call(registered, strtoul(words[2], NULL, 10), count > 3 ? words[3] : NULL);
	printf("flags %u\n", firmware_flags);
	stop();
	printf("left %d %d %d\n", node.references, held.references, registered != NULL);
	return 0;
}
