/* Checks a loss written in C against test vectors: cc -O2 check_vectors.c -o check -lm && ./check FILE.json... */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static double loss(double x, double z) { /* put your own here */
    double w = (x >= 0) - z;
    return (w == 0 ? 0 : x * w) + log1p(exp(-fabs(x)));
}
static double gradient(double x, double z) { /* its derivative in x */
    double e = exp(-fabs(x)), small = e / (1 + e);
    return x >= 0 ? 1 - z - small : small - z;
}
static float lossf(float x, float z) { /* and here: float */
    float w = (x >= 0) - z;
    return (w == 0 ? 0 : x * w) + log1pf(expf(-fabsf(x)));
}
static float gradientf(float x, float z) {
    float e = expf(-fabsf(x)), small = e / (1 + e);
    return x >= 0 ? 1 - z - small : small - z;
}
static int field(const char *line, const char *key, double *number) {
    const char *found = strstr(line, key);
    return found && (*number = strtod(found + strlen(key), NULL), 1); /* reads hexadecimal, inf and nan */
}
static double ulps(double got, double right, double scale, int single) {
    double ulp = ldexp(1, ilogb(fmax(scale, single ? 0x1p-126 : 0x1p-1022)) - (single ? 23 : 52));
    if (got == right || (isnan(got) && isnan(right))) return 0;
    double error = fabs(got - right) / ulp;
    return isfinite(error) ? error : INFINITY; /* where infinities or NaN take part */
}
int main(int argc, char **argv) {
    char line[4096];
    double worst = 0, largest = 0, x, z, right[2], scale[2];
    if (argc < 2) return fprintf(stderr, "usage: %s FILE.json...\n", argv[0]), 2;
    for (int i = 1; i < argc; i++, largest = 0) {
        int single = 0, count = 0;
        FILE *file = fopen(argv[i], "r");
        if (!file) return perror(argv[i]), 2;
        while (fgets(line, sizeof line, file)) { /* the first line is the head, then one vector per line */
            if (strstr(line, "\"dtype\": \"float32\"")) single = 1;
            if (!(field(line, "\"logits\": \"", &x) && field(line, "\"labels\": \"", &z) &&
                  field(line, "\"value\": \"", right) && field(line, "\"value_scale\": \"", scale) &&
                  field(line, "\"gradient\": \"", right + 1) && field(line, "\"gradient_scale\": \"", scale + 1))) continue;
            double got[2] = {single ? lossf((float)x, (float)z) : loss(x, z),
                             single ? gradientf((float)x, (float)z) : gradient(x, z)};
            for (int k = 0; k < 2; k++) {
                double error = ulps(got[k], right[k], scale[k], single);
                if (error > 4) printf("%g ULP: %a, right is %a, in %.90s...\n", error, got[k], right[k], line);
                largest = fmax(largest, error);
            }
            count++;
        }
        if (!count) return fprintf(stderr, "%s: no vectors of a loss\n", argv[i]), 2;
        printf("%s: %d vectors, largest error %.3g ULP\n", argv[i], count, largest);
        worst = fmax(worst, largest), fclose(file);
    }
    return worst > 4;
}
