/* concat: the elements of several inputs in turns, runs[i] of input i; `rows` times around. */
#include <stdint.h>

#include "slots/input.h"
#include "slots/output.h"

void concat(const input_t *const *inputs, const int32_t *runs, int32_t parts, int32_t rows, output_t *output)
{
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t part = 0; part < parts; part++) {
            const int32_t run = runs[part];
            const input_t *source = inputs[part] + row * run;
            for (int32_t i = 0; i < run; i++) {
                store_output(output + i, load_input(source + i));
            }
            output += run;
        }
    }
}
