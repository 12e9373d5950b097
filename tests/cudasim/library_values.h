/* Constants by name, of the emulator's headers and of the libraries' own.  Included by library_values.c and its test. */
#ifndef CUDASIM_LIBRARY_VALUES_H
#define CUDASIM_LIBRARY_VALUES_H

struct library_value {
    const char *name; /* NULL behind the last */
    long long value;
};
extern const struct library_value library_values_emulated[], library_values_real[];

#endif
