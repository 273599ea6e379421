/* SPDX-License-Identifier: Apache-2.0
 * schemas.c: what the API's answers look like, as JSON Schema, for /openapi.json. */
#include "api/inside.h"

const struct schema schemas[] = {
	{"job", "{'type':'object','properties':{'id':{'type':'integer'},'name':{'type':['string','null']},'project':{'typ"
            "e':['string','null']},'user':{'type':['string','null']},'state':{'type':'string','enum':['new','queued',"
            "'stage_in','active','stage_out','cleanup','completed','failed','canceled','unknown']},'reason':{'type':["
            "'object','null'],'properties':{'code':{'type':'string'},'text':{'type':['string','null']}}},'num_nodes':"
            "{'type':'integer'},'centre':{'type':['string','null']},'simulated':{'type':'boolean'},'kind':{'type':['s"
            "tring','null']},'placement':{'type':'array','items':{'type':'object','properties':{'centre':{'type':'str"
            "ing'},'node':{'type':'string'},'count':{'type':'number'},'cards':{'type':['array','null'],'items':{'type"
            "':'integer'}}}}},'priority':{'type':'integer'},'time_limit_s':{'type':['number','null']},'depends_on':{'"
            "type':'array','items':{'type':'object','properties':{'job':{'type':'integer'},'when':{'type':'string'}}}"
            "},'array':{'type':['object','null'],'properties':{'ranges':{'type':'string'},'count':{'type':'integer'},"
            "'placed':{'type':'integer'},'live':{'type':'integer'},'over':{'type':'integer'},'failed':{'type':'intege"
            "r'},'parallel_max':{'type':'integer'}}},'array_id':{'type':['integer','null']},'array_index':{'type':['i"
            "nteger','null']},'submitted_at':{'type':['string','null']},'eligible_at':{'type':['string','null']},'beg"
            "in_at':{'type':['string','null']},'placed_at':{'type':['string','null']},'started_at':{'type':['string',"
            "'null']},'ended_at':{'type':['string','null']},'exit_code':{'type':['integer','null']},'exit_rank':{'typ"
            "e':['integer','null']},'cause':{'type':['string','null']},'attempt':{'type':'integer'},'native_id':{'typ"
            "e':['string','null']},'native_state':{'type':['string','null']},'note':{'type':['string','null']},'warni"
            "ngs':{'type':'array','items':{'type':'string'}}}}"},
	{"jobs", "{'type':'object','properties':{'jobs':{'type':'array','items':{'$ref':'#/components/schemas/job'}},'next"
             "':{'type':['string','null']}}}"},
	{"problem", "{'type':'object','properties':{'type':{'type':'string'},'title':{'type':'string'},'status':{'type':'inte"
                "ger'},'detail':{'type':['string','null']},'field':{'type':['string','null']},'line':{'type':['integer','"
                "null']}}}"},
	{"explanation", "{'type':'object','properties':{'job':{'type':'integer'},'state':{'type':'string'},'reason':{'type':['str"
                    "ing','null']},'text':{'type':['string','null']},'blocker':{'type':['integer','null']},'kind':{'type':['s"
                    "tring','null']},'centre':{'type':['string','null']},'need_nodes':{'type':'integer'},'free_nodes':{'type'"
                    ":'integer'},'free_cards':{'type':'number'},'total_cards':{'type':'number'},'ahead':{'type':'integer'},'e"
                    "xpected_start_at':{'type':['string','null']},'reservation':{'type':['object','null'],'properties':{'star"
                    "t_at':{'type':['string','null']}}}}}"},
	{"pool", "{'type':'object','properties':{'name':{'type':'string'},'currency':{'type':['string','null']},'sequence'"
             ":{'type':'integer'},'state_digest':{'type':'string'},'now':{'type':'string'},'cards':{'type':'integer'},"
             "'free_cards':{'type':'number'},'kinds':{'type':'array','items':{'type':'object','properties':{'kind':{'t"
             "ype':'string'},'vendor':{'type':['string','null']},'class':{'type':'string'},'cards':{'type':'integer'},"
             "'free_cards':{'type':'number'},'allocated_cards':{'type':'number'},'compute':{'type':'array','items':{'t"
             "ype':'object','properties':{'precision':{'type':'string'},'pflops':{'type':'number'},'basis':{'type':'st"
             "ring'},'source':{'type':['string','null']}}}}}}},'centres':{'type':'integer'},'simulated_cards':{'type':"
             "'integer'},'nodes':{'type':'integer'},'jobs':{'type':'object','additionalProperties':{'type':'integer'}}"
             ",'warnings':{'type':'array','items':{'type':'string'}}}}"},
	{"centres", "{'type':'object','properties':{'centres':{'type':'array','items':{'type':'object','properties':{'name':{"
                "'type':'string'},'region':{'type':['string','null']},'location':{'type':['array','null'],'items':{'type'"
                ":'number'}},'engine':{'type':'string'},'simulated':{'type':'boolean'},'capabilities':{'type':'array','it"
                "ems':{'type':'string'}},'at_least_once':{'type':'boolean'},'silent':{'type':'boolean'},'nodes':{'type':'"
                "integer'},'cards':{'type':'integer'},'free_cards':{'type':'number'},'kinds':{'type':'array','items':{'ty"
                "pe':'object','properties':{'kind':{'type':'string'},'cards':{'type':'integer'},'free_cards':{'type':'num"
                "ber'},'price_per_card_hour':{'type':['number','null']}}}},'pue':{'type':['number','null']}}}}}}"},
	{"nodes", "{'type':'object','properties':{'nodes':{'type':'array','items':{'type':'object','properties':{'centre':{"
              "'type':'string'},'node':{'type':'string'},'kind':{'type':['string','null']},'cards':{'type':'integer'},'"
              "free_cards':{'type':'number'},'cpus':{'type':['number','null']},'free_cpus':{'type':['number','null']},'"
              "memory_gib':{'type':['number','null']},'free_memory_gib':{'type':['number','null']},'rack':{'type':'inte"
              "ger'},'pod':{'type':'integer'}}}},'next':{'type':['string','null']}}}"},
	{"cards", "{'type':'object','properties':{'cards':{'type':'array','items':{'type':'object','properties':{'centre':{"
              "'type':'string'},'node':{'type':'string'},'card':{'type':'integer'},'kind':{'type':'string'},'free':{'ty"
              "pe':'number'},'jobs':{'type':'array','items':{'type':'integer'}}}}},'next':{'type':['string','null']}}}"},
	{"links", "{'type':'object','properties':{'links':{'type':'array','items':{'type':'object','properties':{'name':{'t"
              "ype':'string'},'ends':{'type':'array','items':{'type':'string'}},'gbps':{'type':'number'},'latency_us':{"
              "'type':'integer'},'price_per_tib':{'type':'number'}}}}}}"},
	{"projects", "{'type':'object','properties':{'projects':{'type':'array','items':{'type':'object','properties':{'name':"
                 "{'type':'string'},'parent':{'type':['string','null']},'weight':{'type':'number'},'cohort':{'type':['stri"
                 "ng','null']},'quotas':{'type':'array','items':{'type':'object','properties':{'kind':{'type':'string'},'n"
                 "ominal_quota':{'type':['number','null']},'borrowing_limit':{'type':['number','null']},'lending_limit':{'"
                 "type':['number','null']}}}},'jobs_queued':{'type':'integer'},'jobs_active':{'type':'integer'},'cards_in_"
                 "use':{'type':'number'}}}}}}"},
};

const unsigned n_schemas = sizeof schemas / sizeof *schemas;
