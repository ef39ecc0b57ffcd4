/* Checks a loss written in C against test vectors: cc -O2 check_vectors.c -o check -lm && ./check FILE.json... */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static const char LOGITS[] = "\"logits\": \"", LABELS[] = "\"labels\": \"", VALUE[] = "\"value\": \"";

static double loss(double x, double z) { /* put your own here */
    double w = (x >= 0) - z;
    return (w == 0 ? 0 : x * w) + log1p(exp(-fabs(x)));
}
static float lossf(float x, float z) { /* and here: float */
    float w = (x >= 0) - z;
    return (w == 0 ? 0 : x * w) + log1pf(expf(-fabsf(x)));
}
static int field(const char *line, const char *key, double *number) {
    const char *found = strstr(line, key);
    return found && (*number = strtod(found + strlen(key), NULL), 1); /* reads hexadecimal, inf and nan */
}
int main(int argc, char **argv) {
    char line[4096];
    double worst = 0, x, z, right;
    if (argc < 2) return fprintf(stderr, "usage: %s FILE.json...\n", argv[0]), 2;
    for (int i = 1; i < argc; i++) {
        int single = 0, count = 0;
        FILE *file = fopen(argv[i], "r");
        if (!file) return perror(argv[i]), 2;
        while (fgets(line, sizeof line, file)) { /* the first line is the head, then one vector per line */
            if (strstr(line, "\"dtype\": \"float32\"")) single = 1;
            if (!(field(line, LOGITS, &x) && field(line, LABELS, &z) && field(line, VALUE, &right))) continue;
            double got = single ? lossf((float)x, (float)z) : loss(x, z), least = single ? 0x1p-126 : 0x1p-1022;
            double ulp = ldexp(1, ilogb(fmax(fabs(right), least)) - (single ? 23 : 52));
            double error = fabs(got - right) / ulp; /* NaN where infinities or NaN take part */
            if (isnan(error)) error = got == right || (isnan(got) && isnan(right)) ? 0 : INFINITY;
            if (error > 4) printf("%g ULP: %a, right is %a, in %.90s...\n", error, got, right, line);
            worst = fmax(worst, error), count++;
        }
        if (!count) return fprintf(stderr, "%s: no vectors of a loss\n", argv[i]), 2;
        printf("%s: %d vectors, largest error %.3g ULP\n", argv[i], count, worst), fclose(file);
    }
    return worst > 4;
}
