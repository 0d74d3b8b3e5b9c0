/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels this tree is built for.
 *
 * Each case is told by what the headers offer, never by a version number.
 */
#ifndef _LINUX_KFDSVM_COMPAT_H
#define _LINUX_KFDSVM_COMPAT_H

#include <linux/export.h>
#include <linux/module.h>
#include <linux/stringify.h>

/*
 * A namespace is written without quotes, on every kernel. The kernel's own macros
 * want a bare word up to 6.12 and a string from 6.13 on; what they expand to takes a
 * string in both, so the quotes are put on here.
 */
#undef EXPORT_SYMBOL_NS_GPL
#define EXPORT_SYMBOL_NS_GPL(sym, ns) __EXPORT_SYMBOL(sym, "GPL", __stringify(ns))

#undef MODULE_IMPORT_NS
#define MODULE_IMPORT_NS(ns) MODULE_INFO(import_ns, __stringify(ns))

#endif /* _LINUX_KFDSVM_COMPAT_H */
