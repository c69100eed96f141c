/* table: output[i] = entries[input[i] - least]: any function of one code. The output may stand where the input stands
 * if its elements are no larger. */
#include <stdint.h>

#include "slots/entry.h"
#include "slots/input.h"
#include "slots/output.h"

void table(const input_t *input, int32_t least, const entry_t *entries, int32_t size, output_t *output)
{
    for (int32_t i = 0; i < size; i++) {
        store_output(output + i, entries[load_input(input + i) - least]);
    }
}
