//! Descriptor sets, as `protoc --include_imports --descriptor_set_out` writes them, compiled.

use super::any;
use super::binding::{Binding, Body, Found, Method, Tree};
use super::json::Shown;
use super::template::Template;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor, Value};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// What is taken of a descriptor set, and how its messages are read and shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The services, by their full names; empty: all that have bindings.
    pub services: Vec<String>,
    /// Whether methods without a binding are asked for by `POST /package.Service/Method`.
    pub unannotated: bool,
    /// Whether fields, values of enums and parameters that are not known are left out, and not refused.
    pub ignore_unknown: bool,
    /// How answers are shown.
    pub shown: Shown,
}

/// Services, and how they are asked by REST.
pub struct Services {
    tree: Tree,
    /// By the paths of their methods.
    methods: HashMap<String, Known>,
    pub(super) options: Options,
    /// All types.
    pub(super) pool: DescriptorPool,
}

/// A method, and the first way to ask for it.
struct Known {
    method: Arc<Method>,
    binding: Option<Arc<Binding>>,
}

/// What a set describes, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Describes {
    /// Methods.
    pub methods: usize,
    /// Of them, those that can be asked for by REST.
    pub bound: usize,
}

/// `google.api.http`, an extension of the options of methods.
const HTTP: &str = "google.api.http";
/// Levels of fields that a path may name.
const DEEP: usize = 16;

impl Services {
    /// Compiles a set.
    ///
    /// # Errors
    /// What is wrong with it, and where in it.
    pub fn new(set: &[u8], options: Options) -> Result<Self, String> {
        let pool = DescriptorPool::decode(set).map_err(|error| {
            format!(
                "it is no descriptor set with all that it imports, as `protoc --include_imports` writes it: {error}"
            )
        })?;
        for name in &options.services {
            if pool.get_service_by_name(name).is_none() {
                let known: Vec<String> = pool.services().map(|service| service.full_name().to_owned()).collect();
                return Err(format!("it has no service `{name}`; it has {}", known.join(", ")));
            }
        }
        let mut all = Self { tree: Tree::default(), methods: HashMap::new(), options, pool: pool.clone() };
        let wanted = all.options.services.clone();
        for service in
            pool.services().filter(|service| wanted.is_empty() || wanted.iter().any(|name| name == service.full_name()))
        {
            for method in service.methods() {
                all.add(&method).map_err(|what| format!("method `{}`: {what}", method.full_name()))?;
            }
        }
        if all.methods.is_empty() {
            return Err("it describes no service".to_owned());
        }
        Ok(all)
    }

    fn add(&mut self, of: &MethodDescriptor) -> Result<(), String> {
        let path = format!("/{}/{}", of.parent_service().full_name(), of.name());
        let (input, output) = (of.input(), of.output());
        let (input_holds_any, output_holds_any) = (any::may_hold(&input), any::may_hold(&output));
        let (takes_stream, gives_stream) = (of.is_client_streaming(), of.is_server_streaming());
        let method = Arc::new(Method {
            path: path.clone(),
            input,
            output,
            takes_stream,
            gives_stream,
            input_holds_any,
            output_holds_any,
        });
        let mut bindings = Vec::new();
        if let Some(http) = self.pool.get_extension_by_name(HTTP) {
            let options = of.options();
            if options.has_extension(&http)
                && let Value::Message(rule) = &*options.get_extension(&http)
            {
                self::bindings(&method, rule, &mut bindings, true)?;
            }
        }
        if bindings.is_empty() && self.options.unannotated {
            let template = Template::parse(&path)?;
            let (verb, variables) = ("POST".into(), Vec::new());
            let (body, response) = (Body::Whole, None);
            bindings.push(Arc::new(Binding { method: method.clone(), verb, template, variables, body, response }));
        }
        for binding in &bindings {
            if let Some(other) = self.tree.add(binding) {
                let Binding { verb, template, .. } = &**binding;
                return Err(format!("`{verb} {template}` is taken by `{}`", &other.method.path[1..]));
            }
        }
        let binding = bindings.into_iter().next();
        self.methods.insert(path, Known { method, binding });
        Ok(())
    }

    /// What a request leads to, by its method and its path in normal form.
    pub fn find<'a>(&'a self, verb: &[u8], path: &'a [u8]) -> Found<'a> {
        self.tree.find(verb, path)
    }

    /// The method of a call, and how it is asked for by REST, if it is.
    pub fn method(&self, path: &[u8]) -> Option<(&Arc<Method>, Option<&Arc<Binding>>)> {
        let known = self.methods.get(std::str::from_utf8(path).ok()?)?;
        Some((&known.method, known.binding.as_ref()))
    }

    /// What it describes.
    pub fn describes(&self) -> Describes {
        let bound = self.methods.values().filter(|known| known.binding.is_some()).count();
        Describes { methods: self.methods.len(), bound }
    }

    /// All types, of which details of errors may be.
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("describes", &self.describes()).finish()
    }
}

/// The bindings of a `google.api.HttpRule`. `outer`: it may have further ones within it.
fn bindings(
    method: &Arc<Method>,
    rule: &DynamicMessage,
    all: &mut Vec<Arc<Binding>>,
    outer: bool,
) -> Result<(), String> {
    let text = |number: u32| match rule.get_field_by_number(number).as_deref() {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    let mut asked: Vec<(String, String)> = [(2, "GET"), (3, "PUT"), (4, "POST"), (5, "DELETE"), (6, "PATCH")]
        .into_iter()
        .map(|(number, verb)| (verb.to_owned(), text(number)))
        .filter(|(_, path)| !path.is_empty())
        .collect();
    if rule.has_field_by_number(8)
        && let Some(Value::Message(custom)) = rule.get_field_by_number(8).as_deref()
    {
        let of = |number| match custom.get_field_by_number(number).as_deref() {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        asked.push((of(1), of(2)));
    }
    let (body, response) = (text(7), text(12));
    for (verb, path) in asked {
        let said = |what: String| format!("`{verb} {path}`: {what}");
        if verb.is_empty() || !verb.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
            return Err(said("its kind is no method of HTTP, in capitals".to_owned()));
        }
        let template = Template::parse(&path).map_err(said)?;
        let variables = template
            .variables
            .iter()
            .map(|variable| leading(&method.input, &variable.path))
            .collect::<Result<Vec<_>, _>>()
            .map_err(said)?;
        let field = |of: &MessageDescriptor, name: &str| {
            of.get_field_by_name(name).ok_or_else(|| said(format!("`{}` has no field `{name}`", of.full_name())))
        };
        let content = match body.as_str() {
            "" => Body::None,
            "*" => Body::Whole,
            name => Body::Field(field(&method.input, name)?),
        };
        let response = match response.as_str() {
            "" => None,
            name => Some(field(&method.output, name)?),
        };
        let (method, verb) = (method.clone(), verb.into());
        all.push(Arc::new(Binding { method, verb, template, variables, body: content, response }));
    }
    if let Some(Value::List(further)) = rule.get_field_by_number(11).as_deref() {
        for rule in further {
            match rule {
                Value::Message(rule) if outer => bindings(method, rule, all, false)?,
                _ => return Err("additional bindings have none within them".to_owned()),
            }
        }
    }
    Ok(())
}

/// The fields that lead to one that stands in a path, which is a single value.
fn leading(of: &MessageDescriptor, path: &[Box<str>]) -> Result<Vec<FieldDescriptor>, String> {
    if path.len() > DEEP {
        return Err(format!("`{}` is nested too deep", path.join(".")));
    }
    let (mut of, mut fields) = (Some(of.clone()), Vec::new());
    for name in path {
        let Some(message) = of else {
            return Err(format!("`{}`: what stands before `{name}` is no message", path.join(".")));
        };
        let Some(field) = message.get_field_by_name(name) else {
            return Err(format!("`{}` has no field `{name}`", message.full_name()));
        };
        if field.is_list() || field.is_map() {
            return Err(format!("`{}` holds several values, and a path has one", path.join(".")));
        }
        of = Some(field.kind()).filter(any::is_plain).and_then(|kind| kind.as_message().cloned());
        fields.push(field);
    }
    match of {
        Some(message) => Err(format!("`{}` is a `{}`, and no single value", path.join("."), message.full_name())),
        None => Ok(fields),
    }
}
