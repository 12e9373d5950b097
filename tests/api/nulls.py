"""Writes a C program that calls every function of the public headers with NULL and 0 alone, each in a process of its own: a call
that returns a status says COVER_ERROR_ARGUMENT, every other one comes back.  Called by tests/api/meson.build.
usage: nulls.py OUTPUT.c HEADER ..."""
import re
import sys

calls = []
for path in sys.argv[2:]:
    with open(path, encoding='utf-8') as file:
        text = re.sub(r'/\*.*?\*/', ' ', file.read(), flags=re.S)
    for kind, name, rest in re.findall(r'COVER_API ([^;(]*?)(\bcover_\w+)\s*\(([^;]*)\);', text):
        rest = re.sub(r'\([^()]*\)\s*\([^()]*\)', 'callback', rest)  # a function pointer is one argument
        arguments = 0 if rest.strip() == 'void' else rest.count(',') + 1
        calls.append((kind.strip(), name, ', '.join(['0'] * arguments)))

with open(sys.argv[1], 'w', encoding='utf-8') as out:
    out.write('''#include <libcover/cover.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
static int number, wrong;
static void check(const char *name, int (*call)(void)) {
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) _exit(call());
    if (child < 0 || waitpid(child, &status, 0) < 0) status = 1;
    wrong |= status != 0;
    printf("%sok %d - %s\\n", status ? "not " : "", ++number, name);
}
''')
    for kind, name, arguments in calls:
        if kind == 'cover_status':
            body = f'return {name}({arguments}) != COVER_ERROR_ARGUMENT;'
        else:
            body = f'{"" if kind == "void" else "(void)"}{name}({arguments}); return 0;'
        out.write(f'static int call_{name}(void) {{ {body} }}\n')
    out.write('int main(void) {\n')
    for kind, name, _ in calls:
        what = 'refuses NULL' if kind == 'cover_status' else 'takes NULL'
        out.write(f'    check("{name} {what}", call_{name});\n')
    out.write(f'    printf("1..{len(calls)}\\n");\n    return wrong;\n}}\n')
