# SPDX-License-Identifier: GPL-2.0-only
# Scripts that run the VM.

add_test(NAME emulator_fault COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/emulator_fault.sh)
