/** Why a serial port cannot be read, and the exact remedy. */
import { accessSync, constants, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { basename, join } from 'node:path';
import { type Roots, readLink, readText } from './machine.ts';
import type { Process } from './port-users.ts';

/** Programs that wait for a login on a terminal. */
const LOGIN_COMMANDS = ['agetty', 'getty', 'mgetty', 'login'];

/** Read and write for the group. */
const GROUP_MAY_OPEN = 0o060;

/**
 * A login console or the kernel's messages on the port: both would take bytes that the board sent, and answer it.
 * @param name      of the device below /dev, for example ttyAMA10
 * @param tty       its number, see `ttyNumber`
 * @param processes all that run
 * @returns what is the matter and what to do; null if there is no console on the port
 */
export function consoleProblem(
  name: string,
  tty: number,
  processes: readonly Process[],
  roots: Roots,
): string | null {
  const argument = consoleArgument(name, roots);
  const login = hasSerialGetty(name, roots) ? 'systemd' : loginProcess(name, tty, processes, roots);
  if (argument === null && login === null) return null;
  const what = login === null ? "the kernel's console is on it" : 'a login console is on it';
  const steps: string[] = [];
  if (argument !== null) steps.push(kernelRemedy(name, argument, roots));
  // The generated unit of a kernel console may start at any time, so it is disabled whether it runs or not.
  if (login === null || login === 'systemd') {
    steps.push(`run \`sudo systemctl disable --now serial-getty@${name}\``);
  } else {
    steps.push(`end ${login.command} (process ${login.pid}) where it is started, often /etc/inittab`);
  }
  if (argument !== null) steps.push('restart the machine');
  return `${what}. To free it, ${sentence(steps)}.`;
}

/**
 * Rights alone, asked of the kernel, so that access lists count too.
 * @returns what is the matter and what to do; null if this process may open the device
 */
export function rightsProblem(path: string, roots: Roots): string | null {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return null;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return missingProblem(path);
    return code === 'EACCES' ? denialProblem(path, roots) : `it cannot be opened (${code}).`;
  }
}

function missingProblem(path: string): string {
  return (
    `the kernel has it, but there is no ${path}. In a container, pass it in ` +
    `(docker run --device ${path}); elsewhere see that udev runs.`
  );
}

function denialProblem(path: string, roots: Roots): string {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return missingProblem(path); // pulled at this moment
  const { gid, mode } = status;
  const { name: group, members } = findGroup(gid, roots);
  const user = userName();
  if (gid === 0 || (mode & GROUP_MAY_OPEN) !== GROUP_MAY_OPEN) {
    const rights = (mode & 0o777).toString(8).padStart(4, '0');
    return (
      `permission denied. Expected a device that a group such as dialout may open, got group ${group} with ` +
      `mode ${rights}. A udev rule with GROUP="dialout", MODE="0660" changes it.`
    );
  }
  const denied = `permission denied. The device belongs to the group ${group}`;
  if (members.includes(user)) {
    return `${denied}, and ${user} has joined it since logging in: log out and in again.`;
  }
  return `${denied}: run \`sudo usermod -aG ${group} ${user}\`, log out and in again.`;
}

/** From /etc/group; the number stands for a name that is not there. */
function findGroup(gid: number, roots: Roots): { name: string; members: readonly string[] } {
  const entry = (readText(join(roots.etc, 'group')) ?? '')
    .split('\n')
    .map((line) => line.split(':'))
    .find((fields) => fields.length === 4 && Number(fields[2]) === gid);
  return entry ? { name: entry[0], members: entry[3].split(',') } : { name: String(gid), members: [] };
}

/** A container's user need not have a name; then the shell that the remedy is typed into knows better. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return '$USER';
  }
}

/** @returns "console=ttyAMA10,115200", as the kernel was told; null if the port is no console of the kernel */
function consoleArgument(name: string, roots: Roots): string | null {
  const told = consoleArguments(readText(join(roots.proc, 'cmdline')));
  const found = told.find((argument) => consoleName(argument, roots) === name);
  if (found !== undefined) return found;
  // Without being told, for example from the device tree.
  const active = readText(join(roots.sys, 'class/tty/console/active')) ?? '';
  return active.split(' ').includes(name) ? `console=${name}` : null;
}

function consoleArguments(commandLine: string | null): string[] {
  return (commandLine ?? '').split(/\s+/).filter((argument) => argument.startsWith('console='));
}

/** "console=serial0,115200" -> "ttyAMA10", if /dev/serial0 says so */
function consoleName(argument: string, roots: Roots): string {
  const name = argument.slice('console='.length).split(',')[0];
  return basename(readLink(join(roots.dev, name)) ?? name);
}

/** On a Raspberry Pi the argument is in a file of its own, where the firmware knows the port as serial0. */
function kernelRemedy(name: string, argument: string, roots: Roots): string {
  for (const file of ['firmware/cmdline.txt', 'cmdline.txt']) {
    const path = join(roots.boot, file);
    const written = consoleArguments(readText(path));
    const found =
      written.find((text) => consoleName(text, roots) === name) ??
      written.find((text) => text.startsWith('console=serial'));
    if (found !== undefined) return `remove ${found} from ${path}`;
  }
  return (
    `remove ${argument} from the kernel's command line ` +
    '(on a Raspberry Pi console=serial0,115200 in /boot/firmware/cmdline.txt; with GRUB in /etc/default/grub)'
  );
}

/** systemd keeps a link for each unit that is running, for anybody to read. */
function hasSerialGetty(name: string, roots: Roots): boolean {
  const unit = join(roots.run, 'systemd/units', `invocation:serial-getty@${name}.service`);
  return readLink(unit) !== null;
}

function loginProcess(
  name: string,
  tty: number,
  processes: readonly Process[],
  roots: Roots,
): Process | 'systemd' | null {
  const found = processes.find(
    (process) =>
      LOGIN_COMMANDS.includes(process.command) &&
      (process.tty === tty || commandArguments(process, roots).includes(name)),
  );
  if (found === undefined) return null;
  const isService = (readText(join(roots.proc, String(found.pid), 'cgroup')) ?? '').includes('serial-getty@');
  return isService ? 'systemd' : found;
}

/** /sbin/agetty -L ttyS0 115200 vt100, or with /dev/ttyS0 */
function commandArguments({ pid }: Process, roots: Roots): string[] {
  const commandLine = readText(join(roots.proc, String(pid), 'cmdline')) ?? '';
  return commandLine.split('\0').map((argument) => argument.replace(/^\/dev\//, ''));
}

function sentence(steps: readonly string[]): string {
  return steps.length === 1 ? steps[0] : `${steps.slice(0, -1).join(', ')} and ${steps.at(-1)}`;
}
