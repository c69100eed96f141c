/* clamp: output[i] = min(max(input[i], minimum), maximum). The output may stand where the input stands. */
#include <stdint.h>

#include "slots/input.h"
#include "slots/output.h"

void clamp(const input_t *input, int32_t minimum, int32_t maximum, int32_t size, output_t *output)
{
    for (int32_t i = 0; i < size; i++) {
        const int32_t code = load_input(input + i);
        const int32_t raised = code < minimum ? minimum : code;
        store_output(output + i, raised > maximum ? maximum : raised);
    }
}
