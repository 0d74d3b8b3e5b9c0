// SPDX-License-Identifier: MIT
/*
 * The terminal of kfdsvm top: its other screen, keys as they are typed. However the command
 * ends, by a key or by a signal, the terminal is as it was. To stop it ends it, too.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "output.h"
#include "top.h"

static struct termios saved;
/* The terminal is not as it was; and: there are keys to be read. */
static bool raw;
static bool keys;
static int signals = -1;

int top_screen_open(void)
{
	struct termios to;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return -errno;
	sigprocmask(SIG_BLOCK, &set, NULL);
	keys = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &saved);
	if (keys) {
		to = saved;
		to.c_lflag &= (tcflag_t)~(ICANON | ECHO);
		raw = !tcsetattr(STDIN_FILENO, TCSANOW, &to);
	}
	/* The other screen, without cursor. */
	fputs("\033[?1049h\033[?25l", stdout);
	return 0;
}

void top_screen_close(void)
{
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	close(signals);
}

void top_screen_show(const struct top_rows *rows)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	unsigned int height;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col) {
		size.ws_row = 24;
		size.ws_col = 80;
	}
	height = size.ws_row > 3 ? size.ws_row - 2u : 2u;
	/* Home; each line clears what was behind it, the last what was below. */
	fputs("\033[H", stdout);
	printf("%.*s\033[K\n", size.ws_col, "kfdsvm top: q quits");
	top_rows_print(rows, size.ws_col, height, "\033[K\n");
	fputs("\033[J", stdout);
	fflush(stdout);
}

static enum top_wake take_signal(void)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return TOP_EVENT;
	return info.ssi_signo == SIGWINCH ? TOP_RESIZE : TOP_QUIT;
}

/* The end of the input is no key, and it would be read for ever. */
static enum top_wake take_key(void)
{
	char key;

	if (read(STDIN_FILENO, &key, 1) != 1) {
		keys = false;
		return TOP_EVENT;
	}
	return key == 'q' || key == 'Q' ? TOP_QUIT : TOP_EVENT;
}

enum top_wake top_wait(int fd, int ms)
{
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
		{ .fd = keys && signals >= 0 ? STDIN_FILENO : -1, .events = POLLIN },
	};
	int n = poll(fds, 3, ms);

	if (n == 0)
		return TOP_TIME;
	if (n < 0)
		return TOP_EVENT;
	if (fds[1].revents)
		return take_signal();
	return fds[2].revents ? take_key() : TOP_EVENT;
}
