/* SPDX-License-Identifier: Apache-2.0 */
/* crier ps: gathering and printing. Private to src/cli/ps*.c. */
#ifndef CRIER_CLI_PS_H
#define CRIER_CLI_PS_H

#include "crier/config.h"
#include "crier/index.h"

/** Fill what the runtimes' and the kubelet's folders say of the containers in the index. */
void crier_ps_read_files(struct crier_index *index, struct crier_config *config);

/** Text columns, wide as what stands in them. Control characters become spaces. @return enum crier_exit */
int crier_ps_print_text(struct crier_index *index);
int crier_ps_print_json(struct crier_index *index);

#endif
